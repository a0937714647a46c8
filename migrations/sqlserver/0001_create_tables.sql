-- Times are microseconds since 1970. Ids are UUIDs of 16 bytes, in which those of one time are
-- neighbours. Owner 0 stands for none. The body is the whole envelope; the columns beside it are
-- for queries.

-- `incoming`  waits or runs: owned by the node that runs it, or by none
-- `scheduled` waits for its time, without an owner
-- `handled`   is kept without a body, so that a repeat is recognised
--
-- Each row stands in one of the indexes beside the key, as each of them is for one state.
create table {incoming} (
    id binary(16) not null,
    destination nvarchar(255) collate Latin1_General_BIN2 not null,
    status varchar(9) collate Latin1_General_BIN2 not null,
    owner bigint not null,
    attempts bigint not null,
    due_at bigint,
    message_type nvarchar(255) collate Latin1_General_BIN2 not null,
    body varbinary(max),
    group_id nvarchar(max),
    tenant_id nvarchar(max),
    correlation_id nvarchar(max),
    sent_at bigint not null,
    retention bigint,
    retained_until bigint,
    -- The owners from which the row was taken over, the latest last: each may have been interrupted
    -- in a run.
    interrupted_by varchar(255),
    primary key clustered (id, destination),
    check (owner >= 0),
    check (attempts >= 0),
    check (status in ('incoming', 'scheduled', 'handled')),
    check (status = 'incoming' or owner = 0),
    check (status = 'scheduled' and due_at is not null or status <> 'scheduled' and due_at is null),
    check (
        status = 'handled' and retained_until is not null
        or status <> 'handled' and retained_until is null
    ),
    check (status = 'handled' and body is null or status <> 'handled' and body is not null)
);

create index jasper_incoming_claimable on {incoming} (destination, message_type, sent_at)
where owner = 0 and status = 'incoming';

create index jasper_incoming_owned on {incoming} (owner) where owner > 0;

create index jasper_incoming_due on {incoming} (due_at) where status = 'scheduled';

create index jasper_incoming_over on {incoming} (retained_until) where status = 'handled';

create table {outgoing} (
    id binary(16) not null,
    destination nvarchar(255) collate Latin1_General_BIN2 not null,
    owner bigint not null,
    attempts bigint not null,
    deliver_by bigint,
    message_type nvarchar(255) collate Latin1_General_BIN2 not null,
    body varbinary(max) not null,
    group_id nvarchar(max),
    tenant_id nvarchar(max),
    correlation_id nvarchar(max),
    sent_at bigint not null,
    primary key clustered (id, destination),
    check (owner >= 0),
    check (attempts >= 0)
);

create index jasper_outgoing_claimable on {outgoing} (destination, sent_at) where owner = 0;

create index jasper_outgoing_owned on {outgoing} (owner) where owner > 0;

create table {dead_letters} (
    id binary(16) not null,
    destination nvarchar(255) collate Latin1_General_BIN2 not null,
    reason varchar(32) collate Latin1_General_BIN2 not null,
    message_type nvarchar(255) collate Latin1_General_BIN2 not null,
    error_type nvarchar(max) not null,
    error_message nvarchar(max) not null,
    attempts bigint not null,
    body varbinary(max) not null,
    dead_lettered_at bigint not null,
    group_id nvarchar(max),
    tenant_id nvarchar(max),
    correlation_id nvarchar(max),
    sent_at bigint not null,
    retention bigint,
    primary key clustered (id, destination)
);

create index jasper_dead_letters_newest on {dead_letters} (dead_lettered_at, id);

-- The number of a node that is forgotten is never given to another.
-- What a node takes: one line for each message type, with the destination at which it is taken.
create table {nodes} (
    node bigint identity (1, 1) not null primary key,
    name nvarchar(max) not null,
    lease_until bigint not null,
    takes nvarchar(max) not null,
    -- The mark of the sessions that the node has at the server.
    sessions varchar(64) collate Latin1_General_BIN2,
    -- The numbers that its process had before, each of which it has lost.
    earlier varchar(max)
);

-- The oldest build that may work with these tables is one that knows version `usable_from`. Each
-- migration sets it; only one that breaks older builds raises it.
create table {schema}.jasper_schema (
    one tinyint not null primary key,
    usable_from bigint not null,
    check (one = 1)
);

insert into {schema}.jasper_schema (one, usable_from) values (1, 1);
