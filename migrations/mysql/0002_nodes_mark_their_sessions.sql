-- The oldest build that may work with these tables is one that knows version `usable_from`. Each
-- migration from here on sets it; only one that breaks older builds raises it.
create table if not exists `{prefix}jasper_schema` (
    one tinyint not null primary key,
    usable_from bigint not null,
    check (one = 1)
) engine = InnoDB;
insert into `{prefix}jasper_schema` (one, usable_from) values (1, 1)
on duplicate key update usable_from = 1;

-- The mark of the sessions that a node has at the server. Null for nodes of older builds.
--
-- MySQL has no `add column if not exists`. No row is written again.
set @jasper_statement = if(
    exists (
        select 1 from information_schema.columns
        where table_schema = database() and table_name = '{prefix}jasper_nodes'
            and column_name = 'sessions'
    ),
    'do 0',
    'alter table `{prefix}jasper_nodes` add column sessions varchar(64), algorithm = instant'
);
prepare jasper_statement from @jasper_statement;
execute jasper_statement;
deallocate prepare jasper_statement;
