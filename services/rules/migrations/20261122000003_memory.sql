-- migrate:up

-- Who paid whom, where and when, for 35 days. `level` is that of the newest verdict (0 clear, 1 caution, 2 alert).
-- One table, not a partition a week: what is known of an account is one descent of an index, not six.
alter table sighting add level smallint not null default 0, add disposition text, add finding text;

update sighting set level = case when alert then 2 else 1 end where suspicious;

alter table sighting drop suspicious, drop alert;

-- for forgetting old ones. Not a B-tree: while the table is small, a plan could take that for the accounts' indexes,
-- and keep it.
create index sighting_by_filing on sighting using brin (filed_at);

-- The judgement as it was sent, and what it was made of, for years: a partition a month. Verdicts from before
-- there were packs have no pack version.
alter table verdict rename to verdict_before;
alter index verdict_pkey rename to verdict_before_pkey;

create table verdict (
    report_id uuid not null,
    version integer not null,
    filed_at timestamptz not null,
    id uuid not null,
    level text not null,
    score integer not null,
    scam_type text,
    judged_at timestamptz not null,
    pack_version integer,
    pack_hash text,
    facts jsonb not null,
    lists jsonb,
    shadow jsonb,
    event bytea not null,
    traceparent text not null,
    primary key (report_id, version, filed_at)
) partition by range (filed_at);

create index verdict_by_filing on verdict (filed_at, report_id);

create table verdict_default partition of verdict default;

-- Partitions for what is there and for the months to come; the service makes the later ones itself.
do $$
declare
    first timestamptz;
begin
    for first in
        select month at time zone 'UTC'
        from generate_series(
            date_trunc('month', least(now(), (select min(filed_at) from sighting)) at time zone 'UTC'),
            date_trunc('month', now() at time zone 'UTC') + interval '2 months', interval '1 month') as month
    loop
        execute format('create table %I partition of verdict for values from (%L) to (%L)',
                       'verdict_' || to_char(first at time zone 'UTC', 'YYYYMM'), first,
                       (first at time zone 'UTC' + interval '1 month') at time zone 'UTC');
    end loop;
end
$$;

insert into verdict (report_id, version, filed_at, id, level, score, scam_type, judged_at, facts, event, traceparent)
select v.report_id, v.version, coalesce(s.filed_at, v.judged_at), v.id, v.level, v.score,
       convert_from(v.event, 'UTF8')::jsonb ->> 'scam_type', v.judged_at, '{}', v.event, v.traceparent
from verdict_before v left join sighting s using (report_id);

drop table verdict_before;

-- What the police found. The last one decided is how a payee stands.
alter table outcome add scam_type text, add decided_at timestamptz;

update outcome o
set scam_type = case when s.last then w.scam_type end,
    decided_at = case when s.last then w.decided_at
                      else least(o.applied_at, w.decided_at - interval '1 microsecond') end
from (
    select o.id, row_number() over (partition by o.payee_token
                                    order by (o.finding = 'confirmed') = w.watched desc, o.applied_at desc, o.id) = 1
                 as last
    from outcome o join payee_standing w using (payee_token)
) s, payee_standing w
where s.id = o.id and w.payee_token = o.payee_token;

update outcome set decided_at = applied_at where decided_at is null;

alter table outcome alter decided_at set not null;

create index outcome_by_payee on outcome (payee_token, decided_at desc, id desc);

-- What became of a report: the labels. It may be known before the report is.
create table aftermath (
    report_id uuid primary key,
    disposition text,
    disposition_at timestamptz,
    finding text,
    scam_type text,
    found_at timestamptz
);

-- Who is to be stopped or let through whatever the rules say. An entry is ended, never deleted.
create table list_entry (
    id uuid primary key,
    subject text not null check (subject in ('payee', 'payer')),
    token text not null,
    condition text not null check (condition in ('non_overridable_block', 'override', 'overridable_block')),
    scam_type text,
    reason text not null,
    author text not null,
    source text not null check (source in ('analyst', 'outcome')),
    case_id uuid,
    starts_at timestamptz not null,
    expires_at timestamptz,
    ended_at timestamptz,
    ended_by text,
    created_at timestamptz not null default now(),
    -- whether earlier reports were judged again by it
    noticed boolean not null default false
);

create index list_entry_in_force on list_entry (token) where ended_at is null;

create index list_entry_to_be_noticed on list_entry (starts_at) where not noticed;

create unique index list_entry_of_case on list_entry (case_id) where source = 'outcome';

insert into list_entry (id, subject, token, condition, scam_type, reason, author, source, case_id, starts_at, noticed)
select distinct on (o.case_id) gen_random_uuid(), 'payee', o.payee_token, 'overridable_block', o.scam_type,
       '公安机关确认涉诈', '公安机关', 'outcome', o.case_id, o.decided_at, true
from outcome o join payee_standing w on w.payee_token = o.payee_token and w.watched and w.decided_at = o.decided_at
where o.finding = 'confirmed'
order by o.case_id, o.decided_at desc;

drop table payee_standing;

-- The branch's own tempo and amounts, a row a day (UTC). Element n + 1 of `hours` counts the day's reports in its first
-- n hours, of `amounts` those in the first n of 120 buckets, each a tenth of a power of ten (floor(10 log10 fen)):
-- how many there were between two of them is read, not summed.
create table branch_day (
    branch text not null,
    day date not null,
    hours integer[] not null,
    amounts integer[] not null,
    primary key (branch, day)
) with (fillfactor = 60);

insert into branch_day (branch, day, hours, amounts)
select d.branch, d.day,
       array(select coalesce(sum(h.reports), 0)::integer
             from generate_series(0, 24) n
             left join branch_hour h on h.branch = d.branch
                 and h.hour >= d.day::timestamp at time zone 'UTC'
                 and h.hour < (d.day::timestamp + n * interval '1 hour') at time zone 'UTC'
             group by n order by n),
       array_fill(0, array[121])
from (select distinct branch, (hour at time zone 'UTC')::date as day from branch_hour) d;

drop table branch_hour;

-- The rules as they were published, and which of them judge (live) or are tried (shadow) since when.
create table pack_version (
    version integer generated always as identity primary key,
    hash text not null,
    name text,
    files jsonb not null,
    author text,
    note text,
    created_at timestamptz not null default now()
);

create table pack_release (
    id bigint generated always as identity primary key,
    role text not null check (role in ('live', 'shadow')),
    version integer references pack_version,
    author text,
    note text,
    released_at timestamptz not null default now()
);

create index pack_release_newest on pack_release (role, id desc);

-- migrate:down

drop table pack_release, pack_version, list_entry, aftermath;

create table branch_hour (
    branch text not null,
    hour timestamptz not null,
    reports integer not null,
    amount_fen bigint not null,
    primary key (branch, hour)
);

insert into branch_hour (branch, hour, reports, amount_fen)
select branch, (day::timestamp + n * interval '1 hour') at time zone 'UTC', hours[n + 2] - hours[n + 1], 0
from branch_day cross join generate_series(0, 23) n
where hours[n + 2] > hours[n + 1];

drop table branch_day;

create table payee_standing (
    payee_token text primary key,
    watched boolean not null,
    scam_type text,
    decided_at timestamptz not null
);

insert into payee_standing (payee_token, watched, scam_type, decided_at)
select distinct on (payee_token) payee_token, finding = 'confirmed', scam_type, decided_at
from outcome order by payee_token, decided_at desc, id desc;

drop index outcome_by_payee;

alter table outcome drop scam_type, drop decided_at;

drop index sighting_by_filing;

alter table sighting add suspicious boolean not null default false, add alert boolean not null default false;

update sighting set suspicious = true, alert = level = 2 where level > 0;

alter table sighting drop level, drop disposition, drop finding;

alter table verdict rename to verdict_after;
alter index verdict_pkey rename to verdict_after_pkey;

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

insert into verdict
select distinct on (report_id) report_id, id, version, level, score, judged_at, event, traceparent
from verdict_after order by report_id, version desc;

drop table verdict_after;
