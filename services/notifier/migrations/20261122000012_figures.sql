-- migrate:up

-- What takes too long to be counted at every scrape: one replica counts it, all show it. `counted_at` is up to when.
create table figure (
    name text primary key check (name in ('ledger', 'money_by_type', 'missed')),
    due_at timestamptz not null default '-infinity',
    counted_at timestamptz,
    body jsonb not null default '{}'
);

insert into figure (name) values ('ledger'), ('money_by_type'), ('missed');

-- migrate:down

drop table figure;
