-- migrate:up

-- Lets a constraint compare officers and times in one index; ships with PostgreSQL.
create extension if not exists btree_gist;

-- Who is on duty for a unit, from when until just before when. A hand-over ends one shift before its planned end
-- and begins another. Nobody is on duty twice at a time.
create table shift (
    id uuid primary key,
    unit text not null references unit (code),
    officer uuid not null references officer (id),
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    planned_until timestamptz not null,
    handed_over_from uuid unique references shift (id),
    check (starts_at < ends_at and ends_at <= planned_until),
    unique (unit, officer, starts_at),
    constraint shift_once_at_a_time exclude using gist (officer with =, tstzrange(starts_at, ends_at) with &&)
);

create index shift_by_end on shift (unit, ends_at);

-- Whoever takes a shift over is told of the cases that nobody has acknowledged.
create index alert_by_case on alert (case_id);

-- Links that have acknowledged: each does so once.
create table link_used (
    delivery_id uuid primary key,
    case_id uuid not null references fraud_case (id),
    officer uuid not null references officer (id),
    used_at timestamptz not null default now()
);

-- migrate:down

drop index alert_by_case;

drop table link_used;

drop table shift;
