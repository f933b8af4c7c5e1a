"""rules' SQL for what is known when a report is judged: payee, payer and branch, for a whole batch at a time.

A report looks at sightings of 30 days before it, through an index, at most the latest hundred of an account
or a person. A sighting counts as the latest of its payer (branch, bank, payee) if none later is of the same:
distinct values of four windows then cost one sort, not four.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.rules.branch_store import branches
from services.rules.conditions import Condition, ConditionKind, Subject
from services.rules.features import BRANCH, DEFAULTS, PAYEE, PAYER, WINDOWS, Value
from shared.events import ReportFiled
from shared.postgres import Connection, Row

LAST_ID: Final = UUID(int=2**128 - 1)
"""No report filed in the same instant comes after it."""


def _windowed(whose: str, distinct: dict[str, str]) -> str:
    """Return the columns that are the same for every window: `distinct` is from a plural to its singular."""
    columns = []
    for suffix, window in WINDOWS.items():
        within = f"s.filed_at > s.ending - interval '{window}'"
        columns += [
            f'count(*) filter (where {within}) as "{whose}.reports_{suffix}"',
            f'(sum(s.amount_fen) filter (where {within}))::bigint / 100 as "{whose}.amount_yuan_{suffix}"',
            *(
                f'count(*) filter (where s.latest_of_{one} and {within}) as "{whose}.{many}_{suffix}"'
                for many, one in distinct.items()
            ),
        ]
    return ",\n               ".join(columns)


PASTS: Final = f"""
    with report as (
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[])
               as r (id, payee, payer, person, branch, ending, before_id)
    ),
    standing as (
        select r.id, o.finding, o.scam_type, o.decided_at
        from report r cross join lateral (
            select * from standing_outcome where payee_token = r.payee order by decided_at desc, id desc limit 1
        ) o
    ),
    payee_sighting as (
        select r.id, r.ending, r.branch as here, s.*,
               row_number() over (partition by r.id, s.payer_token order by s.filed_at desc) = 1 as latest_of_payer,
               row_number() over (partition by r.id, s.branch order by s.filed_at desc) = 1 as latest_of_branch,
               row_number() over (partition by r.id, s.bank order by s.filed_at desc) = 1 as latest_of_bank
        from report r cross join lateral (
            select * from sighting
            where payee_token = r.payee and filed_at > r.ending - interval '30 days' and filed_at <= r.ending
              and (filed_at, report_id) < (r.ending, r.before_id) and report_id <> r.id
            order by filed_at desc limit 100
        ) s
    ),
    payee_past as (
        select s.id, count(*) as seen, min(s.filed_at) as first_seen_at,
               {_windowed("payee", {"payers": "payer", "branches": "branch", "banks": "bank"})},
               count(*) filter (where s.latest_of_branch and s.branch <> s.here
                                      and s.filed_at > s.ending - interval '7 days') as "payee.other_branches_7d",
               count(*) filter (where s.level = 1 and s.filed_at > s.ending - interval '7 days'
                                      and (w.id is null or s.filed_at > w.decided_at)) as "payee.cautions_7d",
               count(*) filter (where s.level = 2 and s.filed_at > s.ending - interval '7 days'
                                      and (w.id is null or s.filed_at > w.decided_at)) as "payee.alerts_7d",
               count(*) filter (where s.disposition = 'cancelled') as "payee.cancelled_30d",
               count(*) filter (where s.disposition = 'proceeded') as "payee.proceeded_30d",
               count(*) filter (where s.disposition = 'already_sent') as "payee.already_sent_30d"
        from payee_sighting s left join standing w on w.id = s.id and w.finding = 'unfounded'
        group by s.id
    ),
    payer_sighting as (
        select r.id, r.ending, r.branch as here, r.payee, s.*,
               row_number() over (partition by r.id, s.payee_token order by s.filed_at desc) = 1 as latest_of_payee,
               row_number() over (partition by r.id, s.branch order by s.filed_at desc) = 1 as latest_of_branch,
               row_number() over (partition by r.id, s.bank order by s.filed_at desc) = 1 as latest_of_bank
        from report r cross join lateral (
            select * from (
                (select * from sighting
                 where payer_token = r.payer and filed_at > r.ending - interval '30 days' and filed_at <= r.ending
                   and (filed_at, report_id) < (r.ending, r.before_id) and report_id <> r.id
                 order by filed_at desc limit 100)
                union all
                select * from (
                    select * from sighting
                    where payer_person_token = r.person
                      and filed_at > r.ending - interval '30 days' and filed_at <= r.ending
                      and (filed_at, report_id) < (r.ending, r.before_id) and report_id <> r.id
                    order by filed_at desc limit 100
                ) of_person
                where payer_token <> r.payer
            ) both_ways
            order by filed_at desc limit 100
        ) s
    ),
    payer_past as (
        select s.id,
               {_windowed("payer", {"payees": "payee", "branches": "branch", "banks": "bank"})},
               count(*) filter (where s.payee_token = s.payee) as "payer.to_payee_30d",
               count(*) filter (where s.level > 0 and s.branch <> s.here
                                      and s.filed_at > s.ending - interval '24 hours')
                   as "payer.suspected_elsewhere_24h",
               count(*) filter (where s.disposition = 'cancelled' and s.branch <> s.here
                                      and s.filed_at > s.ending - interval '24 hours')
                   as "payer.cancelled_elsewhere_24h",
               count(*) filter (where s.disposition = 'cancelled') as "payer.cancelled_30d",
               count(*) filter (where s.finding = 'confirmed') as "payer.confirmed_30d",
               max(s.amount_fen) / 100 as "payer.largest_yuan_30d",
               floor(percentile_cont(0.5) within group (order by s.amount_fen) / 100)::bigint
                   as "payer.median_yuan_30d"
        from payer_sighting s group by s.id
    )
    select r.id as report_id, payee_past.*, payer_past.*,
           floor(extract(epoch from r.ending - case when payee_past.seen = 100 then (
               select filed_at from sighting
               where payee_token = r.payee and filed_at > r.ending - interval '30 days' and filed_at <= r.ending
               order by filed_at limit 1
           ) else payee_past.first_seen_at end) / 60)::bigint as "payee.first_seen_minutes",
           coalesce(w.finding = 'confirmed', false) as "payee.confirmed",
           coalesce(w.finding = 'unfounded', false) as "payee.unfounded",
           case when w.finding = 'confirmed' then w.scam_type end as "payee.scam_type",
           pays.reports as "payee.pays_out_24h",
           got.reports as "payer.received_24h", got.payers as "payer.received_from_24h",
           listed.watched as "payee.watched", listed.trusted as "payee.trusted"
    from report r
    left join payee_past on payee_past.id = r.id
    left join payer_past on payer_past.id = r.id
    left join standing w on w.id = r.id
    cross join lateral (
        select count(*) as reports from (
            select from sighting
            where payer_token = r.payee and filed_at > r.ending - interval '24 hours' and filed_at <= r.ending
              and (filed_at, report_id) < (r.ending, r.before_id) and report_id <> r.id
            limit 100
        ) s
    ) pays
    cross join lateral (
        select count(*) as reports, count(distinct s.payer_token) as payers from (
            select payer_token from sighting
            where payee_token = r.payer and filed_at > r.ending - interval '24 hours' and filed_at <= r.ending
              and (filed_at, report_id) < (r.ending, r.before_id) and report_id <> r.id
            order by filed_at desc limit 100
        ) s
    ) got
    cross join lateral (
        select bool_or(condition <> 'override') as watched,
               bool_or(condition = 'override') and not bool_or(condition = 'non_overridable_block') as trusted
        from list_entry
        where token = r.payee and subject = 'payee' and ended_at is null
          and starts_at <= coalesce($8::timestamptz, now()) and coalesce(expires_at > coalesce($8, now()), true)
    ) listed
"""  # noqa: S608 - put together of our own words

OF_ACCOUNTS: Final = tuple(feature.name for feature in (*PAYEE, *PAYER))
PAST: Final = (*OF_ACCOUNTS, *(feature.name for feature in BRANCH))
"""The names that `pasts` gives values to."""


async def pasts(
    connection: Connection, reports: Sequence[ReportFiled], as_of: datetime | None = None, *, at: datetime | None = None
) -> dict[UUID, dict[str, Value]]:
    """Return what is known of each report's payee, payer and branch from the 30 days before it: all of `PAST`.

    A report looks at those filed before it, or, with `as_of`, at all others up to that moment. What the police
    found counts as it stands; the lists as they stand at `at` (else at `as_of`, else when the transaction began).
    """
    rows = await connection.fetch(
        PASTS,
        [report.report_id for report in reports],
        [report.payee_token for report in reports],
        [report.payer_token for report in reports],
        [report.payer_person_token for report in reports],
        [report.branch for report in reports],
        [as_of or report.filed_at for report in reports],
        [LAST_ID if as_of else report.report_id for report in reports],
        at or as_of,
    )
    known = await branches(connection, reports, as_of)
    return {row["report_id"]: {**_or_default(row), **known[row["report_id"]]} for row in rows}


def _or_default(row: Row) -> dict[str, Value]:
    """Take the features from a row; where nothing was seen, the default."""
    return {name: DEFAULTS[name] if row[name] is None else row[name] for name in OF_ACCOUNTS}


async def conditions(
    connection: Connection, reports: Sequence[ReportFiled], at: datetime
) -> dict[UUID, list[Condition]]:
    """Return the entries of the lists that are in force at `at` for each report that has any."""
    rows = await connection.fetch(
        """
        select r.report_id, e.id, e.subject, e.condition, e.scam_type, e.reason, e.author, e.starts_at, e.expires_at
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as r (report_id, payee, payer, person)
        cross join lateral (values ('payee', r.payee), ('payer', r.payer), ('payer', r.person)) as t (subject, token)
        join list_entry e on e.token = t.token and e.subject = t.subject and e.ended_at is null
                             and e.starts_at <= $5 and coalesce(e.expires_at > $5, true)
        """,
        [report.report_id for report in reports],
        [report.payee_token for report in reports],
        [report.payer_token for report in reports],
        [report.payer_person_token for report in reports],
        at,
    )
    found: dict[UUID, list[Condition]] = {}
    for row in rows:
        found.setdefault(row["report_id"], []).append(_condition(row))
    return found


def _condition(row: Row) -> Condition:
    return Condition(
        id=row["id"],
        subject=Subject(row["subject"]),
        kind=ConditionKind(row["condition"]),
        scam_type=row["scam_type"],
        reason=row["reason"],
        author=row["author"],
        starts_at=row["starts_at"],
        expires_at=row["expires_at"],
    )
