-- migrate:up

-- A replica of a version that knew no classes goes on putting records aside while it is replaced. It names none; what it
-- meets then is most likely an event of a newer version, and `reason` says what it was.
alter table dead_letter alter reason_class set default 'unknown_type';

-- migrate:down

alter table dead_letter alter reason_class drop default;
