-- migrate:up

-- How long a stage may take, by unit and urgency; a unit without a line of its own goes by the nearest above it.
create table deadline_rule (
    unit text not null references unit (code),
    urgency text not null check (urgency in ('01', '02')),
    stage text not null,
    seconds integer not null check (seconds > 0),
    primary key (unit, urgency, stage)
);

-- A time by which something must have happened, or at which something happens. Whoever changes one holds its case.
-- met: it was done, or there is nothing left to do. missed: its time came, and what had to follow has.
create table deadline (
    id uuid primary key,
    case_id uuid not null references fraud_case (id),
    stage text not null,
    subject uuid,
    step integer not null default 0,
    due_at timestamptz not null,
    state text not null default 'running' check (state in ('running', 'met', 'missed')),
    started_at timestamptz not null default now(),
    ended_at timestamptz
);

create unique index deadline_running on deadline (case_id, stage, subject, step) nulls not distinct
where state = 'running';

create index deadline_due on deadline (due_at) where state = 'running';

create index officer_by_unit on officer (unit) where revoked_at is null;

-- `in_charge` is the unit at work on the case, `responsible` the officer; `unit` stays the one that opened it.
alter table fraud_case
    add in_charge text references unit (code),
    add responsible uuid references officer (id),
    add urgency text not null default '02' check (urgency in ('01', '02')),
    add split_from uuid references fraud_case (id);

update fraud_case set in_charge = unit, responsible = acknowledged_by;

-- What was under way before there was a clock gets one: cases nobody has taken on, orders no bank has answered, holds
-- that run out or have.
insert into deadline (id, case_id, stage, due_at)
select gen_random_uuid(), id, 'acknowledge', acknowledge_by from fraud_case where status = 'open';

insert into deadline (id, case_id, stage, subject, due_at)
select gen_random_uuid(), case_id, 'feedback', id, ordered_at + interval '5 minutes' from bank_order
where status = 'pending';

insert into deadline (id, case_id, stage, subject, step, due_at)
select gen_random_uuid(), case_id, 'warning', id, hours, expires_at - hours * interval '1 hour'
from bank_order, unnest(array[24, 6, 1]) as hours
where status = 'executed' and ended_at is null and expires_at - hours * interval '1 hour' > now();

insert into deadline (id, case_id, stage, subject, due_at)
select gen_random_uuid(), case_id, 'expiry', id, expires_at from bank_order
where status = 'executed' and ended_at is null and expires_at is not null;

drop index fraud_case_open;

create unique index fraud_case_open on fraud_case (payee_token) where status <> 'closed' and split_from is null;

-- What a unit is told of a case as a whole is of no single report; `roles` narrows whom of the unit it is for.
alter table alert alter report_id drop not null;

alter table alert add roles text[] not null default '{}';

-- migrate:down

alter table alert drop roles;

delete from alert where report_id is null;

alter table alert alter report_id set not null;

drop index fraud_case_open;

-- The release before this knows one open case an account: of several, the first stays open.
update fraud_case c set status = 'closed', closed_at = now(), reason = '系统回退，并入同一账户的在办案件', changed_at = now()
where c.status <> 'closed' and exists (
    select from fraud_case o where o.payee_token = c.payee_token and o.status <> 'closed' and o.id < c.id
);

create unique index fraud_case_open on fraud_case (payee_token) where status <> 'closed';

alter table fraud_case drop split_from, drop urgency, drop responsible, drop in_charge;

drop index officer_by_unit;

drop table deadline, deadline_rule;
