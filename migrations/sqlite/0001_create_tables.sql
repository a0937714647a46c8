-- Times are microseconds since 1970. Ids are UUIDs of 16 bytes. Owner 0 is nobody.
-- The body is the whole envelope; the columns beside it are for queries.

-- `incoming`  waits or runs: owned by the node that runs it, or by nobody
-- `scheduled` waits for its time, owned by nobody
-- `handled`   is kept without a body, so that a repeat is recognised
create table jasper_incoming (
    seq integer primary key,
    id blob not null check (length(id) = 16),
    destination text not null,
    status text not null check (status in ('incoming', 'scheduled', 'handled')),
    owner integer not null check (owner >= 0),
    attempts integer not null check (attempts >= 0),
    due_at integer,
    message_type text not null,
    body blob,
    group_id text,
    tenant_id text,
    correlation_id text,
    sent_at integer not null,
    retention integer,
    retained_until integer,
    unique (id, destination),
    check (status = 'incoming' or owner = 0),
    check ((status = 'scheduled') = (due_at is not null)),
    check ((status = 'handled') = (retained_until is not null)),
    check ((status = 'handled') = (body is null))
) strict;

create index jasper_incoming_unowned on jasper_incoming (sent_at)
    where status = 'incoming' and owner = 0;
create index jasper_incoming_owned on jasper_incoming (owner) where owner > 0;
create index jasper_incoming_scheduled on jasper_incoming (due_at) where status = 'scheduled';
create index jasper_incoming_handled on jasper_incoming (retained_until) where status = 'handled';

create table jasper_outgoing (
    seq integer primary key,
    id blob not null check (length(id) = 16),
    destination text not null,
    owner integer not null check (owner >= 0),
    attempts integer not null check (attempts >= 0),
    deliver_by integer,
    message_type text not null,
    body blob not null,
    group_id text,
    tenant_id text,
    correlation_id text,
    sent_at integer not null,
    unique (id, destination)
) strict;

create index jasper_outgoing_unowned on jasper_outgoing (destination, sent_at) where owner = 0;
create index jasper_outgoing_owned on jasper_outgoing (owner) where owner > 0;

create table jasper_dead_letters (
    seq integer primary key,
    id blob not null check (length(id) = 16),
    destination text not null,
    reason text not null,
    message_type text not null,
    error_type text not null,
    error_message text not null,
    attempts integer not null check (attempts >= 0),
    body blob not null,
    dead_lettered_at integer not null,
    group_id text,
    tenant_id text,
    correlation_id text,
    sent_at integer not null,
    retention integer,
    unique (id, destination)
) strict;

create index jasper_dead_letters_newest on jasper_dead_letters (dead_lettered_at);

-- `autoincrement`, so that the number of a node that is forgotten is never given to another.
create table jasper_nodes (
    node integer primary key autoincrement,
    name text not null,
    lease_until integer not null
) strict;
