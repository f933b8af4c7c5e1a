-- migrate:up

-- An order waits for a second officer (proposed) before it goes to the bank (pending); it may be turned down (rejected).
alter table bank_order drop constraint bank_order_status_check;

alter table bank_order add constraint bank_order_status_check
    check (status in ('proposed', 'pending', 'executed', 'failed', 'rejected'));

-- A hold ends by release, by running out, or because a further order took its place.
alter table bank_order rename released_at to ended_at;

alter table bank_order
    add ended_why text check (ended_why in ('released', 'expired', 'extended', 'frozen', 'renewed')),
    add account_level integer not null default 1 check (account_level >= 1),
    add application_type text not null default '02',
    add emergency_level text not null default '02',
    add acts_on uuid references bank_order (id),
    add corrects uuid references bank_order (id),
    add term_months integer,
    add scope text,
    add includes_proceeds boolean,
    add notice_number text,
    add unwanted boolean not null default false,
    add approval_level integer,
    add approved_by uuid references officer (id),
    add approved_at timestamptz,
    add bank_stopped_at timestamptz,
    add frozen_fen bigint,
    add returned_fen bigint,
    add failure text check (failure in ('technical', 'mismatch', 'business')),
    add mismatch text[] not null default '{}';

update bank_order set ended_why = 'released' where ended_at is not null;

drop index bank_order_pending;

-- An account takes one order of a kind at a time; but each case frees what it holds, whatever others do.
create unique index bank_order_waiting on bank_order (payee_token, kind)
where status in ('proposed', 'pending') and kind not in ('release_stop', 'unfreeze');

create unique index bank_order_freeing on bank_order (payee_token, kind, case_id)
where status in ('proposed', 'pending') and kind in ('release_stop', 'unfreeze');

-- What banks answered, as it came: the ledger is verified from it. Sealed.
create table feedback (
    id uuid primary key,
    order_id uuid not null unique references bank_order (id),
    event bytea not null,
    received_at timestamptz not null
);

-- Where money has moved on to, as banks said it. `token` is the account; `parent` the account it came from; `nth`
-- tells equal transfers of one feedback apart.
create table onward_account (
    id uuid primary key,
    case_id uuid not null references fraud_case (id),
    order_id uuid not null references bank_order (id),
    parent text not null,
    token text not null,
    level integer not null check (level >= 2),
    bank text not null,
    mask jsonb not null,
    sealed text not null,
    amount_fen bigint not null,
    transferred_at timestamptz not null,
    told_at timestamptz not null,
    nth integer not null check (nth >= 1),
    unique (case_id, parent, token, amount_fen, transferred_at, nth)
);

create index onward_account_by_token on onward_account (case_id, token);

-- migrate:down

drop table onward_account, feedback;

drop index bank_order_waiting, bank_order_freeing;

delete from bank_order where status in ('proposed', 'rejected');

create unique index bank_order_pending on bank_order (payee_token, kind) where status = 'pending';

alter table bank_order
    drop mismatch, drop failure, drop returned_fen, drop frozen_fen, drop bank_stopped_at, drop approved_at,
    drop approved_by, drop approval_level, drop unwanted, drop notice_number, drop includes_proceeds, drop scope, drop term_months,
    drop corrects, drop acts_on, drop emergency_level, drop application_type, drop account_level, drop ended_why;

alter table bank_order rename ended_at to released_at;

alter table bank_order drop constraint bank_order_status_check;

alter table bank_order add constraint bank_order_status_check check (status in ('pending', 'executed', 'failed'));
