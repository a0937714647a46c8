-- What a node takes: one line for each message type, with the destination at which it is taken.
alter table jasper_nodes add column takes text not null default '';
