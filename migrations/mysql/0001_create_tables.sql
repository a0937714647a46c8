-- Times are microseconds since 1970. Ids are UUIDs of 16 bytes. Owner 0 is nobody.
-- The body is the whole envelope; the columns beside it are for queries.
--
-- Every statement may run again: a definition commits by itself here, so that a crash can leave
-- the first of them done.

-- `incoming`  waits or runs: owned by the node that runs it, or by nobody
-- `scheduled` waits for its time, owned by nobody
-- `handled`   is kept without a body, so that a repeat is recognised
--
-- One index serves every recovery, so that a message costs two entries. For that, what rows of one
-- state are taken by stands in columns of its own: `turn` is the time of its turn, and where
-- anybody may claim it, `waits_at` and `waits_as` are what it is claimed by.
create table if not exists `{prefix}jasper_incoming` (
    id binary(16) not null,
    destination varchar(255) not null,
    status enum ('incoming', 'scheduled', 'handled') not null,
    owner bigint not null,
    attempts bigint not null,
    due_at bigint,
    message_type varchar(255) not null,
    body longblob,
    group_id mediumtext,
    tenant_id mediumtext,
    correlation_id mediumtext,
    sent_at bigint not null,
    retention bigint,
    retained_until bigint,
    waits_at varchar(255) generated always as (
        case when owner = 0 and status = 'incoming' then destination else '' end
    ) stored,
    waits_as varchar(255) generated always as (
        case when owner = 0 and status = 'incoming' then message_type else '' end
    ) stored,
    turn bigint generated always as (
        case status when 'scheduled' then due_at when 'handled' then retained_until else sent_at end
    ) stored,
    primary key (id, destination),
    key turns (owner, status, waits_at, waits_as, turn),
    check (owner >= 0),
    check (attempts >= 0),
    check (status = 'incoming' or owner = 0),
    check ((status = 'scheduled') = (due_at is not null)),
    check ((status = 'handled') = (retained_until is not null)),
    check ((status = 'handled') = (body is null))
) engine = InnoDB row_format = dynamic character set = utf8mb4 collate = utf8mb4_bin;

create table if not exists `{prefix}jasper_outgoing` (
    id binary(16) not null,
    destination varchar(255) not null,
    owner bigint not null,
    attempts bigint not null,
    deliver_by bigint,
    message_type varchar(255) not null,
    body longblob not null,
    group_id mediumtext,
    tenant_id mediumtext,
    correlation_id mediumtext,
    sent_at bigint not null,
    primary key (id, destination),
    key turns (owner, destination, sent_at),
    check (owner >= 0),
    check (attempts >= 0)
) engine = InnoDB row_format = dynamic character set = utf8mb4 collate = utf8mb4_bin;

-- Without constraints, as their names would be longer than a name may be where the prefix is long.
create table if not exists `{prefix}jasper_dead_letters` (
    id binary(16) not null,
    destination varchar(255) not null,
    reason varchar(32) not null,
    message_type varchar(255) not null,
    error_type mediumtext not null,
    error_message mediumtext not null,
    attempts bigint not null,
    body longblob not null,
    dead_lettered_at bigint not null,
    group_id mediumtext,
    tenant_id mediumtext,
    correlation_id mediumtext,
    sent_at bigint not null,
    retention bigint,
    primary key (id, destination),
    key newest (dead_lettered_at, id)
) engine = InnoDB row_format = dynamic character set = utf8mb4 collate = utf8mb4_bin;

-- The number of a node that is forgotten is never given to another.
-- What a node takes: one line for each message type, with the destination at which it is taken.
create table if not exists `{prefix}jasper_nodes` (
    node bigint not null auto_increment primary key,
    name mediumtext not null,
    lease_until bigint not null,
    takes mediumtext not null
) engine = InnoDB row_format = dynamic character set = utf8mb4 collate = utf8mb4_bin;
