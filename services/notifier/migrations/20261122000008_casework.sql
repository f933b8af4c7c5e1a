-- migrate:up

-- A unit that a case was transferred to sees the people of all its reports, others those of their own.
alter table case_unit add whole boolean not null default false;

-- The unit in charge was told of a case at its opening, or when it was transferred to it.
alter table fraud_case add transferred_at timestamptz;

create index fraud_case_split on fraud_case (split_from) where split_from is not null;

create index fraud_case_closed on fraud_case (closed_at) where status = 'closed';

-- What officers write may name people, so it lies sealed: what follows a line's `text`, why a case was closed, why
-- somebody did what is on record. `reason` of the audit is a rule's name; what is older than this stays as it was.
alter table timeline add sealed text;

alter table fraud_case add sealed_reason text;

alter table audit add sealed text;

-- `sealed` is bound to `case_id`.
create table case_link (
    case_id uuid not null references fraud_case (id),
    other_id uuid not null references fraud_case (id),
    sealed text not null,
    linked_by uuid not null references officer (id),
    linked_at timestamptz not null,
    primary key (case_id, other_id),
    check (case_id < other_id)
);

create index case_link_by_other on case_link (other_id);

-- What officers write about a case, for its officers only: sealed.
create table note (
    id uuid primary key,
    case_id uuid not null references fraud_case (id),
    sealed text not null,
    written_by uuid not null references officer (id),
    written_at timestamptz not null
);

create index note_by_case on note (case_id);

-- What lies elsewhere and belongs to a case: a reference, never the thing itself. `token` is the reference's.
create table attachment (
    id uuid primary key,
    case_id uuid not null references fraud_case (id),
    token text not null,
    sealed text not null,
    sha256 text,
    added_by uuid not null references officer (id),
    added_at timestamptz not null,
    unique (case_id, token)
);

-- An account holder objects to a hold; the police answer in time. Who objects, why, and the answer are sealed.
create table objection (
    id uuid primary key,
    case_id uuid not null references fraud_case (id),
    sealed text not null,
    recorded_by uuid not null references officer (id),
    raised_at timestamptz not null,
    answer_by timestamptz not null,
    decision text check (decision in ('upheld', 'rejected')),
    sealed_answer text,
    answered_by uuid references officer (id),
    answered_at timestamptz
);

create index objection_by_case on objection (case_id);

-- migrate:down

drop table objection, attachment, note, case_link;

alter table audit drop sealed;

alter table fraud_case drop sealed_reason;

alter table timeline drop sealed;

drop index fraud_case_closed, fraud_case_split;

alter table fraud_case drop transferred_at;

alter table case_unit drop whole;
