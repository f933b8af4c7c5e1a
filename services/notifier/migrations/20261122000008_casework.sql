-- migrate:up

create table case_link (
    case_id uuid not null references fraud_case (id),
    other_id uuid not null references fraud_case (id),
    reason text not null,
    linked_by uuid not null references officer (id),
    linked_at timestamptz not null,
    primary key (case_id, other_id),
    check (case_id < other_id)
);

-- What lies elsewhere and belongs to a case: a reference, never the thing itself.
create table attachment (
    id uuid primary key,
    case_id uuid not null references fraud_case (id),
    reference text not null,
    title text not null,
    sha256 text,
    added_by uuid not null references officer (id),
    added_at timestamptz not null,
    unique (case_id, reference)
);

-- An account holder objects to a hold; the police answer in time.
create table objection (
    id uuid primary key,
    case_id uuid not null references fraud_case (id),
    raised_by text not null,
    sealed text not null,
    recorded_by uuid not null references officer (id),
    raised_at timestamptz not null,
    answer_by timestamptz not null,
    decision text check (decision in ('upheld', 'rejected')),
    answered_by uuid references officer (id),
    answered_at timestamptz
);

create index objection_by_case on objection (case_id);

-- migrate:down

drop table objection, attachment, case_link;
