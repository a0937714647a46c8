-- A long backlog of one handler must not lie between another and its few messages.
drop index jasper_incoming_unowned;
create index jasper_incoming_unowned on jasper_incoming (destination, message_type, sent_at)
    where status = 'incoming' and owner = 0;
