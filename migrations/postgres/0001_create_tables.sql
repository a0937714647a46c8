-- Times are microseconds since 1970. Owner 0 is nobody.
-- The body is the whole envelope; the columns beside it are for queries.
--
-- The tables live in the schema of the store, which is the only one on the search path here.
--
-- Rows come and go: the tables are vacuumed by the number of dead rows, whatever their size, and
-- keep the pages that they have.

-- `incoming`  waits or runs: owned by the node that runs it, or by nobody
-- `scheduled` waits for its time, owned by nobody
-- `handled`   is kept without a body, so that a repeat is recognised
create table jasper_incoming (
    id uuid not null,
    destination text not null,
    status text not null,
    owner bigint not null,
    attempts bigint not null,
    due_at bigint,
    message_type text not null,
    body bytea,
    group_id text,
    tenant_id text,
    correlation_id text,
    sent_at bigint not null,
    retention bigint,
    retained_until bigint,
    primary key (id, destination),
    -- One check of everything: each costs every insert that the database prepares it.
    check (
        owner >= 0 and attempts >= 0 and case status
            when 'incoming' then due_at is null and retained_until is null and body is not null
            when 'scheduled' then
                owner = 0 and due_at is not null and retained_until is null and body is not null
            when 'handled' then
                owner = 0 and due_at is null and retained_until is not null and body is null
            else false
        end
    )
) with (
    fillfactor = 90,
    vacuum_truncate = false,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 5000,
    toast.vacuum_truncate = false,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_cost_delay = 0
);

-- Compressing what is read once costs more than it saves.
alter table jasper_incoming alter column body set storage external;

create index jasper_incoming_unowned on jasper_incoming (destination, message_type, sent_at)
    where status = 'incoming' and owner = 0;
create index jasper_incoming_owned on jasper_incoming (owner) where owner > 0;
create index jasper_incoming_scheduled on jasper_incoming (due_at) where status = 'scheduled';
create index jasper_incoming_handled on jasper_incoming (retained_until) where status = 'handled';

-- Handlers end their messages on connections whose settings are the users', with plans that are
-- made once. One that is made for a table of few pages reads it from end to end, and is still in
-- use when it is full. So it begins with some hundred pages, and the vacuum leaves them.
insert into jasper_incoming (id, destination, status, owner, attempts, message_type, body, sent_at)
select gen_random_uuid(), repeat('x', 1700), 'incoming', 0, 0, '', '', 0
from generate_series(1, 1000);
delete from jasper_incoming;

create table jasper_outgoing (
    id uuid not null,
    destination text not null,
    owner bigint not null check (owner >= 0),
    attempts bigint not null check (attempts >= 0),
    deliver_by bigint,
    message_type text not null,
    body bytea not null,
    group_id text,
    tenant_id text,
    correlation_id text,
    sent_at bigint not null,
    primary key (id, destination)
) with (
    fillfactor = 90,
    vacuum_truncate = false,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 5000,
    toast.vacuum_truncate = false,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_cost_delay = 0
);

alter table jasper_outgoing alter column body set storage external;

create index jasper_outgoing_unowned on jasper_outgoing (destination, sent_at) where owner = 0;
create index jasper_outgoing_owned on jasper_outgoing (owner) where owner > 0;

create table jasper_dead_letters (
    id uuid not null,
    destination text not null,
    reason text not null,
    message_type text not null,
    error_type text not null,
    error_message text not null,
    attempts bigint not null check (attempts >= 0),
    body bytea not null,
    dead_lettered_at bigint not null,
    group_id text,
    tenant_id text,
    correlation_id text,
    sent_at bigint not null,
    retention bigint,
    primary key (id, destination)
);

create index jasper_dead_letters_newest on jasper_dead_letters (dead_lettered_at, id);

-- An identity, so that the number of a node that is forgotten is never given to another.
-- `takes` has one line for each message type, with the destination at which it is taken.
create table jasper_nodes (
    node bigint generated always as identity primary key,
    name text not null,
    lease_until bigint not null,
    takes text not null
) with (fillfactor = 50);

-- One row for each open transaction that several runs share, deleted before it commits. The row
-- violates a deferred foreign key, so a commit fails while it is there: a `commit` that one handler
-- executes would otherwise commit the other runs without the settlement of their messages.
create table jasper_commit_guard (
    transaction_key integer primary key,
    unsatisfiable_node bigint not null default -1
        references jasper_nodes (node) deferrable initially deferred
) with (
    vacuum_truncate = false,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
