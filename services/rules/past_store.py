"""rules' SQL for what is known when a report is judged: payee, payer and branch, for a whole batch at a time.

A report looks at sightings of 30 days before it, through an index, at most the latest hundred of an account
or a person. Each is `near`: 1 where it lies in all windows, 4 where only in the widest. They are grouped by
that, and by each value of which distinct ones are counted, with the nearest of that value: by hashing, in one
pass. So a hot account costs a walk through a hundred rows, and no sort.
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

NEAR: Final = """case when filed_at > r.since_1h then 1 when filed_at > r.since_24h then 2
                                when filed_at > r.since_7d then 3 else 4 end as near"""

OTHERS_BEFORE: Final = """filed_at <= r.ending and report_id <> r.id
                           and (filed_at < r.ending or report_id < r.before_id)"""


def _windowed(whose: str, others: str) -> str:
    """Return the columns that there are for every window; `others` names the accounts on the other side."""
    columns = []
    for near, suffix in enumerate(WINDOWS, 1):
        columns += [
            f'{_sum("reports", near)} as "{whose}.reports_{suffix}"',
            f'{_sum("fen", near)} / 100 as "{whose}.amount_yuan_{suffix}"',
            f'{_sum("others", near)} as "{whose}.{others}_{suffix}"',
            f'{_sum("branches", near)} as "{whose}.branches_{suffix}"',
            f'{_sum("banks", near)} as "{whose}.banks_{suffix}"',
        ]
    return ",\n               ".join(columns)


def _sum(what: str, near: int = 4) -> str:
    return f"(sum({what}) filter (where near <= {near}))::bigint"


PASTS: Final = f"""
    with report as (
        select r.*, o.finding, o.scam_type, case when o.finding = 'unfounded' then o.decided_at end as unfounded_at,
               r.ending - interval '1 hour' as since_1h, r.ending - interval '24 hours' as since_24h,
               r.ending - interval '7 days' as since_7d, r.ending - interval '30 days' as since_30d
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[])
             as r (id, payee, payer, person, branch, ending, before_id)
        left join lateral (
            select * from standing_outcome where payee_token = r.payee order by decided_at desc, id desc limit 1
        ) o on true
    )
    select r.id as report_id, payee_past.*, payer_past.*,
           floor(extract(epoch from r.ending - case when payee_past.seen = 100 then (
               select filed_at from sighting
               where payee_token = r.payee and filed_at > r.since_30d and filed_at <= r.ending
               order by filed_at limit 1
           ) else payee_past.first_seen_at end) / 60)::bigint as "payee.first_seen_minutes",
           coalesce(r.finding = 'confirmed', false) as "payee.confirmed",
           coalesce(r.finding = 'unfounded', false) as "payee.unfounded",
           case when r.finding = 'confirmed' then r.scam_type end as "payee.scam_type",
           pays.reports as "payee.pays_out_24h",
           got.reports as "payer.received_24h", got.payers as "payer.received_from_24h",
           listed.watched as "payee.watched", listed.trusted as "payee.trusted"
    from report r
    cross join lateral (
        select {_sum("reports")} as seen, min(first_seen_at) as first_seen_at,
               {_windowed("payee", "payers")},
               {_sum("other_branches", 3)} as "payee.other_branches_7d",
               {_sum("cautions", 3)} as "payee.cautions_7d",
               {_sum("alerts", 3)} as "payee.alerts_7d",
               {_sum("cancelled")} as "payee.cancelled_30d",
               {_sum("proceeded")} as "payee.proceeded_30d",
               {_sum("already_sent")} as "payee.already_sent_30d"
        from (
            select near, sum(reports) filter (where by_window) as reports, sum(fen) filter (where by_window) as fen,
                   count(payer_token) as others, count(branch) as branches, count(bank) as banks,
                   count(branch) filter (where branch <> r.branch) as other_branches,
                   min(first_seen_at) as first_seen_at,
                   sum(cautions) filter (where by_window) as cautions, sum(alerts) filter (where by_window) as alerts,
                   sum(cancelled) filter (where by_window) as cancelled,
                   sum(proceeded) filter (where by_window) as proceeded,
                   sum(already_sent) filter (where by_window) as already_sent
            from (
                select min(near) as near, grouping(near) = 0 as by_window, payer_token, branch, bank,
                       count(*) as reports, sum(amount_fen) as fen, min(filed_at) as first_seen_at,
                       count(*) filter (where level = 1 and coalesce(filed_at > r.unfounded_at, true)) as cautions,
                       count(*) filter (where level = 2 and coalesce(filed_at > r.unfounded_at, true)) as alerts,
                       count(*) filter (where disposition = 'cancelled') as cancelled,
                       count(*) filter (where disposition = 'proceeded') as proceeded,
                       count(*) filter (where disposition = 'already_sent') as already_sent
                from (
                    select payer_token, branch, bank, amount_fen, filed_at, level, disposition,
                           {NEAR}
                    from sighting
                    where payee_token = r.payee and filed_at > r.since_30d and {OTHERS_BEFORE}
                    order by filed_at desc limit 100
                ) seen
                group by grouping sets ((near), (payer_token), (branch), (bank))
            ) grouped
            group by near
        ) counted
    ) payee_past
    cross join lateral (
        with seen as materialized (
            select payee_token, branch, bank, amount_fen, level, disposition, finding, {NEAR}
            from (
                (select * from sighting
                 where payer_token = r.payer and filed_at > r.since_30d and {OTHERS_BEFORE}
                 order by filed_at desc limit 100)
                union all
                select * from (
                    select * from sighting
                    where payer_person_token = r.person and filed_at > r.since_30d and {OTHERS_BEFORE}
                    order by filed_at desc limit 100
                ) of_person
                where payer_token <> r.payer
            ) both_ways
            order by filed_at desc limit 100
        )
        select {_windowed("payer", "payees")},
               {_sum("to_payee")} as "payer.to_payee_30d",
               {_sum("suspected_elsewhere", 2)} as "payer.suspected_elsewhere_24h",
               {_sum("cancelled_elsewhere", 2)} as "payer.cancelled_elsewhere_24h",
               {_sum("cancelled")} as "payer.cancelled_30d",
               {_sum("confirmed")} as "payer.confirmed_30d",
               max(largest_fen) / 100 as "payer.largest_yuan_30d",
               (select floor(percentile_cont(0.5) within group (order by amount_fen) / 100)::bigint from seen)
                   as "payer.median_yuan_30d"
        from (
            select near, sum(reports) filter (where by_window) as reports, sum(fen) filter (where by_window) as fen,
                   count(payee_token) as others, count(branch) as branches, count(bank) as banks,
                   sum(reports) filter (where payee_token = r.payee) as to_payee,
                   sum(suspected_elsewhere) filter (where by_window) as suspected_elsewhere,
                   sum(cancelled_elsewhere) filter (where by_window) as cancelled_elsewhere,
                   sum(cancelled) filter (where by_window) as cancelled,
                   sum(confirmed) filter (where by_window) as confirmed, max(largest_fen) as largest_fen
            from (
                select min(near) as near, grouping(near) = 0 as by_window, payee_token, branch, bank,
                       count(*) as reports, sum(amount_fen) as fen,
                       count(*) filter (where level > 0 and branch <> r.branch) as suspected_elsewhere,
                       count(*) filter (where disposition = 'cancelled' and branch <> r.branch) as cancelled_elsewhere,
                       count(*) filter (where disposition = 'cancelled') as cancelled,
                       count(*) filter (where finding = 'confirmed') as confirmed, max(amount_fen) as largest_fen
                from seen
                group by grouping sets ((near), (payee_token), (branch), (bank))
            ) grouped
            group by near
        ) counted
    ) payer_past
    cross join lateral (
        select count(*) as reports from (
            select from sighting
            where payer_token = r.payee and filed_at > r.since_24h and {OTHERS_BEFORE}
            limit 100
        ) s
    ) pays
    cross join lateral (
        select count(*) as reports, count(distinct s.payer_token) as payers from (
            select payer_token from sighting
            where payee_token = r.payer and filed_at > r.since_24h and {OTHERS_BEFORE}
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
