-- migrate:up

-- What is known of who paid whom, where and when: the rules' memory. Tokens only.
create table sighting (
    report_id uuid primary key,
    payee_token text not null,
    payer_token text not null,
    payer_person_token text,
    bank text not null,
    branch text not null,
    amount_fen bigint not null,
    filed_at timestamptz not null,
    suspicious boolean not null default false,
    alert boolean not null default false
) with (fillfactor = 80);

create index sighting_by_payee on sighting (payee_token, filed_at desc);

create index sighting_by_payer on sighting (payer_token, filed_at desc);

create index sighting_by_person on sighting (payer_person_token, filed_at desc) where payer_person_token is not null;

-- The branch's own tempo, by clock hour: a busy branch has thousands of sightings, but only 168 hours a week.
create table branch_hour (
    branch text not null,
    hour timestamptz not null,
    reports integer not null,
    amount_fen bigint not null,
    primary key (branch, hour)
);

-- The judgement as it was sent, to be sent again when the question is put again.
create table verdict (
    report_id uuid primary key,
    id uuid not null,
    version integer not null,
    level text not null,
    score integer not null,
    judged_at timestamptz not null,
    event bytea not null,
    traceparent text not null
);

-- What the police last found about a payee: watched when the latest case was confirmed.
create table payee_standing (
    payee_token text primary key,
    watched boolean not null,
    scam_type text,
    decided_at timestamptz not null
);

create table outcome (
    id uuid primary key,
    case_id uuid not null,
    finding text not null,
    payee_token text not null,
    applied_at timestamptz not null
);

-- migrate:down

drop table outcome, payee_standing, verdict, branch_hour, sighting;
