-- The oldest build that may work with these tables is one that knows version `usable_from`. Each
-- migration from here on sets it; only one that breaks older builds raises it.
create table jasper_schema (
    one boolean primary key default true check (one),
    usable_from bigint not null
);
insert into jasper_schema (usable_from) values (1);

-- The mark of the sessions that a node has at the server. Null for nodes of older builds.
alter table jasper_nodes add column sessions text;
