-- migrate:up

-- `path` names the unit and all above it, as in /SZ/SZ-LH/SZ-LH-CZ/: a subtree is a prefix.
create table unit (
    code text primary key,
    name text not null,
    level integer not null check (level between 1 and 6),
    parent text references unit (code),
    path text not null
);

create table branch (
    code text primary key,
    bank text not null,
    name text not null,
    unit text not null references unit (code)
);

create table scam_type (
    code text primary key,
    name text not null,
    version text not null
);

create table officer (
    id uuid primary key,
    name text not null unique,
    unit text not null references unit (code),
    role text not null check (role in ('officer', 'approver', 'supervisor', 'auditor')),
    token_sha256 bytea not null unique,
    revoked_at timestamptz
);

create table webhook (
    id uuid primary key,
    unit text not null references unit (code),
    url text not null,
    sealed_secret text not null,
    created_at timestamptz not null default now(),
    removed_at timestamptz
);

-- One case a payee account: while one is open, further alerts on the account join it.
create table fraud_case (
    id uuid primary key,
    version integer not null,
    payee_token text not null,
    payee_mask jsonb not null,
    scam_type text,
    unit text not null references unit (code),
    bank text not null,
    status text not null check (status in ('open', 'acknowledged', 'closed')),
    amount_fen bigint not null,
    opened_at timestamptz not null,
    acknowledge_by timestamptz not null,
    acknowledged_at timestamptz,
    acknowledged_by uuid references officer (id),
    closed_at timestamptz,
    finding text,
    reason text,
    outcome_id uuid,
    changed_at timestamptz not null
);

create unique index fraud_case_open on fraud_case (payee_token) where status <> 'closed';

create index fraud_case_changed on fraud_case (changed_at, id);

-- Every report that was judged; those at alert level are in a case and keep what an order needs.
create table report (
    id uuid primary key,
    bank text not null,
    branch text not null,
    unit text not null,
    level text not null,
    score integer not null,
    amount_fen bigint not null,
    filed_at timestamptz not null,
    case_id uuid references fraud_case (id),
    verdict bytea
);

create index report_by_case on report (case_id) where case_id is not null;

-- Which units have a report in a case, and so see it.
create table case_unit (
    case_id uuid not null references fraud_case (id),
    unit text not null,
    path text not null,
    primary key (case_id, unit)
);

create index case_unit_by_path on case_unit (path text_pattern_ops);

create table timeline (
    id uuid primary key,
    case_id uuid not null references fraud_case (id),
    at timestamptz not null,
    kind text not null,
    actor text not null,
    text text not null
);

create index timeline_by_case on timeline (case_id, id);

-- `position` is handed out under a lock that lasts until the commit, so that a reader that has seen one
-- has seen all before it.
create table alert (
    id uuid primary key,
    position bigint generated always as identity unique,
    case_id uuid not null references fraud_case (id),
    report_id uuid not null,
    unit text not null,
    path text not null,
    facts jsonb not null,
    created_at timestamptz not null
);

-- An alert on its way to one webhook.
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

create table bank_order (
    id uuid primary key,
    version integer not null,
    case_id uuid not null references fraud_case (id),
    payee_token text not null,
    kind text not null,
    status text not null check (status in ('pending', 'executed', 'failed')),
    bank text not null,
    amount_fen bigint not null,
    covers uuid[] not null,
    original_application_id uuid,
    ordered_by uuid references officer (id),
    ordered_at timestamptz not null,
    feedback_id uuid,
    balance_before_fen bigint,
    stopped_fen bigint,
    executed_at timestamptz,
    expires_at timestamptz,
    answered_at timestamptz,
    released_at timestamptz,
    event bytea not null
);

create index bank_order_by_case on bank_order (case_id);

create index bank_order_by_account on bank_order (payee_token, kind);

create unique index bank_order_pending on bank_order (payee_token, kind) where status = 'pending';

create table disposition (
    id uuid primary key,
    report_id uuid not null unique,
    outcome text not null,
    amount_fen bigint not null,
    recorded_at timestamptz not null
);

-- Money, in fen. Entries are only ever added; a correction is a further entry.
create table ledger (
    id uuid primary key,
    cause uuid not null,
    kind text not null check (kind in ('reported', 'averted', 'stopped', 'frozen', 'released', 'returned', 'lost')),
    fen bigint not null check (fen <> 0),
    bank text not null,
    unit text not null,
    report_id uuid,
    case_id uuid,
    booked_at timestamptz not null default now(),
    check (report_id is not null or case_id is not null),
    unique nulls not distinct (cause, kind, report_id, case_id)
);

create index ledger_by_case on ledger (case_id) where case_id is not null;

create index ledger_by_report on ledger (report_id) where report_id is not null;

create table ledger_total (
    kind text not null,
    bank text not null,
    unit text not null,
    fen bigint not null,
    primary key (kind, bank, unit)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is only ever added to';
end
$$;

create trigger ledger_append_only before update or delete on ledger
for each statement execute function refuse_change();

create trigger ledger_not_truncated before truncate on ledger
for each statement execute function refuse_change();

create function add_to_totals() returns trigger language plpgsql as $$
begin
    insert into ledger_total (kind, bank, unit, fen)
    select kind, bank, unit, sum(fen) from added group by kind, bank, unit order by kind, bank, unit
    on conflict (kind, bank, unit) do update set fen = ledger_total.fen + excluded.fen;
    return null;
end
$$;

create trigger ledger_totals after insert on ledger referencing new table as added
for each statement execute function add_to_totals();

create table audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    subject uuid not null,
    reason text not null
);

-- migrate:down

drop table audit, ledger_total, ledger, disposition, bank_order, delivery, alert, timeline, case_unit, report,
    fraud_case, webhook, officer, scam_type, branch, unit;

drop function add_to_totals, refuse_change;
