-- migrate:up

-- Who is on duty for a unit, from when to when. A hand-over ends one shift and begins another.
create table shift (
    id uuid primary key,
    unit text not null references unit (code),
    officer uuid not null references officer (id),
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    handed_over_from uuid references shift (id),
    check (starts_at < ends_at),
    unique (unit, officer, starts_at)
);

create index shift_by_end on shift (unit, ends_at);

-- Links that have acknowledged: each does so once.
create table link_used (
    delivery_id uuid primary key,
    case_id uuid not null references fraud_case (id),
    officer uuid not null references officer (id),
    used_at timestamptz not null default now()
);

-- migrate:down

drop table link_used, shift;
