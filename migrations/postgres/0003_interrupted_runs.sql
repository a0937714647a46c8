-- The owners from which a row was taken over, the latest last: each may have been interrupted in a
-- run. Null for a row that never was.
alter table jasper_incoming add column interrupted_by text;

-- The numbers that the process of a node had before, each of which it has lost.
alter table jasper_nodes add column earlier text;

update jasper_schema set usable_from = 1;
