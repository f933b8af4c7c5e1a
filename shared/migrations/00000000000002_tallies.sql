-- migrate:up

-- When a replica last took the tally: the others need not.
create table tally_round (
    alone boolean primary key default true check (alone),
    taken_at timestamptz not null
);

insert into tally_round (taken_at) values ('-infinity');

-- migrate:down

drop table tally_round;
