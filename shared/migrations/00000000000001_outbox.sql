-- migrate:up

-- What must still be said. A row is written in the transaction of the fact that caused it. A row that
-- awaits no answer goes when the broker has acknowledged it; one that awaits an answer goes only with
-- the answer, and is repeated until then.
create table outbox (
    id uuid primary key,
    topic text not null,
    key text not null,
    type text not null,
    payload bytea not null,
    traceparent text not null,
    awaits_answer boolean not null,
    reason text not null default '',
    attempts integer not null default 0,
    created_at timestamptz not null default now(),
    due_at timestamptz not null
) with (
    -- rows live for milliseconds: vacuum by count, not by share
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 50000
);

create index outbox_due on outbox (due_at);

-- What a consumer could not read or handle, once: the hash is of key, value, headers and reason, since an
-- obligation comes again at other offsets for as long as it is not answered.
create table dead_letter (
    id uuid primary key,
    topic text not null,
    partition_number integer not null,
    offset_number bigint not null,
    sha256 bytea not null,
    reason text not null,
    parked_at timestamptz not null default now(),
    unique (topic, sha256)
);

-- migrate:down

drop table dead_letter;

drop table outbox;
