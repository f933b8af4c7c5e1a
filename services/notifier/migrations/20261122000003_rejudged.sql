-- migrate:up

-- Which version of its verdict a report's level, score and verdict are from. The default stays: replicas of the
-- release before this one go on inserting while they are replaced, and know of version 1 only.
alter table report add column version integer not null default 1 check (version >= 1);

-- migrate:down

alter table report drop column version;
