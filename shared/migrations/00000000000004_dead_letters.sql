-- migrate:up

-- The record itself, to be put back once its defect is mended: key, value and headers, sealed, since what cannot be
-- read may hold anything. Letters from before this have none.
alter table dead_letter
    add sealed text,
    add reason_class text,
    add state text not null default 'parked' check (state in ('parked', 'replayed', 'dropped')),
    add attempts integer not null default 1,
    add changed_at timestamptz not null default now();

update dead_letter
set changed_at = parked_at,
    reason_class = case
        when reason = 'the value is null' then 'null_value'
        when reason = 'not JSON' then 'bad_json'
        when reason like 'schema: %' then 'schema'
        when reason = 'unknown type' then 'unknown_type'
        when reason = 'unknown version' then 'unknown_version'
        when reason like '% does not travel on this topic' then 'wrong_topic'
        when reason like 'the key %' then 'key'
        when reason like 'handler failed: %' then 'handler_failed'
        else 'header'
    end;

alter table dead_letter alter reason_class set not null;

create index dead_letter_parked on dead_letter (reason_class) where state = 'parked';

-- What was done about a letter, by whom, and why: only ever added to.
create table dead_letter_step (
    id bigint generated always as identity primary key,
    letter_id uuid not null references dead_letter (id),
    at timestamptz not null default now(),
    action text not null check (action in ('parked', 'replayed', 'dropped')),
    actor text not null,
    why text not null
);

create index dead_letter_step_by_letter on dead_letter_step (letter_id, id);

insert into dead_letter_step (letter_id, at, action, actor, why)
select id, parked_at, 'parked', 'lanjie', reason from dead_letter order by parked_at, id;

-- migrate:down

drop table dead_letter_step;

drop index dead_letter_parked;

alter table dead_letter
    drop sealed, drop reason_class, drop state, drop attempts, drop changed_at;
