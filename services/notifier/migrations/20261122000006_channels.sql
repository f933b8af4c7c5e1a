-- migrate:up

-- Where messages go: one owner, one channel, one address. An officer's targets are tried in the order of `position`,
-- each `delay_seconds` after the alert unless somebody has acknowledged by then. `address` is sealed, except that
-- webhooks from before this table keep their URL as it was.
create table target (
    id uuid primary key,
    unit text references unit (code),
    officer uuid references officer (id),
    bank text,
    channel text not null check (channel in ('webhook', 'mail', 'wecom', 'dingtalk', 'feishu', 'sms', 'smpp')),
    address text not null,
    sealed_secret text,
    shown text not null,
    position integer not null default 1 check (position >= 1),
    delay_seconds integer not null default 0 check (delay_seconds >= 0),
    created_at timestamptz not null default now(),
    removed_at timestamptz,
    -- pace and breaker, shared by all replicas: the time up to which the target's allowance is used; failures in a row;
    -- until when it is left alone
    paced_until timestamptz,
    failures integer not null default 0,
    closed_until timestamptz,
    check (num_nonnulls(unit, officer, bank) = 1)
);

create index target_by_unit on target (unit) where removed_at is null;

create index target_by_officer on target (officer) where removed_at is null;

create index target_by_bank on target (bank) where removed_at is null;

insert into target (id, unit, channel, address, sealed_secret, shown, created_at, removed_at)
select id, unit, 'webhook', url, sealed_secret, substring(url from '^https?://(?:[^/?#]*@)?([^/?#]+)'), created_at, removed_at
from webhook;

alter table delivery rename to delivery_before;

alter index delivery_due rename to delivery_before_due;

-- A message on its way to one target. `type` and `facts` are what it says. `message_id` is the alert's or the order's version; the same at every try.
create table delivery (
    id uuid primary key,
    message_id uuid not null,
    target_id uuid not null references target (id),
    case_id uuid not null references fraud_case (id),
    type text not null default 'lanjie.alert.v1',
    facts jsonb not null,
    state text not null check (state in ('pending', 'delivered', 'dead', 'moot')),
    attempts integer not null default 0,
    created_at timestamptz not null,
    due_at timestamptz not null,
    last_reason text,
    settled_at timestamptz,
    unique (message_id, target_id)
);

insert into delivery (id, message_id, target_id, case_id, facts, state, attempts, created_at, due_at, last_reason,
                      settled_at)
select gen_random_uuid(), d.alert_id, d.webhook_id, a.case_id, a.facts, d.state, d.attempts, a.created_at, d.due_at,
       d.last_reason, d.delivered_at
from delivery_before d join alert a on a.id = d.alert_id;

drop table delivery_before;

drop table webhook;

create index delivery_due on delivery (target_id, due_at) where state = 'pending';

create index delivery_by_case on delivery (case_id) where state = 'pending';

-- migrate:down

alter table delivery rename to delivery_since;

alter index delivery_due rename to delivery_since_due;

-- Only webhooks from before are taken back, with what is on its way to them: the addresses of later ones are sealed,
-- which the release before this cannot open, and the other channels it does not know.
create table webhook (
    id uuid primary key,
    unit text not null references unit (code),
    url text not null,
    sealed_secret text not null,
    created_at timestamptz not null default now(),
    removed_at timestamptz
);

insert into webhook (id, unit, url, sealed_secret, created_at, removed_at)
select id, unit, address, sealed_secret, created_at, removed_at from target
where unit is not null and channel = 'webhook' and address like 'http%';

create table delivery (
    alert_id uuid not null references alert (id),
    webhook_id uuid not null references webhook (id),
    state text not null check (state in ('pending', 'delivered', 'dead')),
    attempts integer not null default 0,
    due_at timestamptz not null,
    last_reason text,
    delivered_at timestamptz,
    primary key (alert_id, webhook_id)
);

create index delivery_due on delivery (due_at) where state = 'pending';

insert into delivery (alert_id, webhook_id, state, attempts, due_at, last_reason, delivered_at)
select d.message_id, d.target_id, d.state, d.attempts, d.due_at, d.last_reason, d.settled_at
from delivery_since d join webhook w on w.id = d.target_id
join alert a on a.id = d.message_id and a.report_id is not null
where d.state <> 'moot';

drop table delivery_since;

drop table target;
