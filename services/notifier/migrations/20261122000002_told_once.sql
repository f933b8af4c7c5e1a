-- migrate:up

-- The event that a line tells of, where it may come again: it is told once.
alter table timeline add column told_by uuid unique;

-- migrate:down

alter table timeline drop column told_by;
