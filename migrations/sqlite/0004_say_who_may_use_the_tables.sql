-- The oldest build that may work with these tables is one that knows version `usable_from`. Each
-- migration from here on sets it; only one that breaks older builds raises it.
create table jasper_schema (
    one integer primary key check (one = 1),
    usable_from integer not null
) strict;
insert into jasper_schema values (1, 3);
