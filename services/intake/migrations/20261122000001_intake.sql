-- migrate:up

create table bank (
    code text primary key,
    name text not null
);

-- Keys are random, so a plain SHA-256 is enough to keep them from being read back.
create table bank_key (
    sha256 bytea primary key,
    bank text not null references bank (code),
    label text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

create table branch (
    code text primary key,
    bank text not null references bank (code),
    name text not null
);

create table cue (
    code text primary key,
    name text not null,
    version text not null
);

-- The event holds tokens and sealed fields only. Both unique constraints are for one bank: two banks may
-- use the same key or reference without learning of each other.
create table report (
    id uuid primary key,
    bank text not null,
    idempotency_key text not null,
    bank_reference text not null,
    fingerprint bytea not null,
    amount_fen bigint not null check (amount_fen > 0),
    payee_token text not null,
    filed_at timestamptz not null,
    event bytea not null,
    traceparent text not null,
    unique (bank, idempotency_key),
    unique (bank, bank_reference)
);

create table verdict (
    report_id uuid primary key,
    version integer not null,
    level text not null,
    body jsonb not null,
    judged_at timestamptz not null
);

create table case_view (
    case_id uuid primary key,
    version integer not null,
    status text not null,
    opened_at timestamptz not null,
    acknowledged_at timestamptz,
    closed_at timestamptz,
    finding text
);

create table case_report (
    report_id uuid primary key,
    case_id uuid not null
);

create table disposition (
    id uuid primary key,
    report_id uuid not null unique references report (id),
    outcome text not null,
    amount_fen bigint not null check (amount_fen >= 0),
    recorded_at timestamptz not null
);

create table bank_order (
    id uuid primary key,
    version integer not null,
    bank text not null,
    case_id uuid not null,
    status text not null,
    amount_fen bigint not null,
    ordered_at timestamptz not null,
    event bytea not null
);

create index bank_order_by_bank on bank_order (bank, status, id);

create table feedback (
    id uuid primary key,
    order_id uuid not null unique references bank_order (id),
    fingerprint bytea not null,
    event bytea not null,
    received_at timestamptz not null
);

-- A second, different answer to the same order: kept, refused, and sent to the police for a look.
create table contradiction (
    id uuid primary key,
    order_id uuid not null references bank_order (id),
    fingerprint bytea not null,
    event bytea not null,
    received_at timestamptz not null,
    unique (order_id, fingerprint)
);

create table audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    subject uuid not null
);

-- migrate:down

drop table audit, contradiction, feedback, bank_order, disposition, case_report, case_view, verdict, report, cue,
    branch, bank_key, bank;
