-- The owners from which a row was taken over, the latest last: each may have been interrupted in a
-- run. Null for a row that never was.
set @jasper_statement = if(
    exists (
        select 1 from information_schema.columns
        where table_schema = database() and table_name = '{prefix}jasper_incoming'
            and column_name = 'interrupted_by'
    ),
    'do 0',
    'alter table `{prefix}jasper_incoming` add column interrupted_by varchar(255),
        algorithm = instant'
);
prepare jasper_statement from @jasper_statement;
execute jasper_statement;
deallocate prepare jasper_statement;

-- The numbers that the process of a node had before, each of which it has lost.
set @jasper_statement = if(
    exists (
        select 1 from information_schema.columns
        where table_schema = database() and table_name = '{prefix}jasper_nodes'
            and column_name = 'earlier'
    ),
    'do 0',
    'alter table `{prefix}jasper_nodes` add column earlier text, algorithm = instant'
);
prepare jasper_statement from @jasper_statement;
execute jasper_statement;
deallocate prepare jasper_statement;

update `{prefix}jasper_schema` set usable_from = 1;
