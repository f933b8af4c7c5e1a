"""rules' SQL for branches: their tempo and their usual amounts, counted as reports come."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import accumulate
from typing import Final
from uuid import UUID

from services.rules.features import BRANCH, DEFAULTS, Value
from shared.events import ReportFiled
from shared.postgres import Connection

HOURS: Final = 24
BUCKETS: Final = 120
SECONDS_AN_HOUR: Final = 3600

BRANCHES: Final = """
    with report as (
        select r.*, r.ending / 24 as day, r.own / 24 as own_day
        from unnest($1::uuid[], $2::text[], $3::integer[], $4::integer[], $5::integer[])
             as r (id, branch, bucket, own, ending)
    ),
    counted as (
        select r.id, sum(b.until_now - b.hours[greatest(r.ending - 1 - b.begins, 0) + 1])
                         filter (where b.begins + 24 > r.ending - 1) as reports_2h,
               sum(b.until_now - b.hours[greatest(r.ending - 23 - b.begins, 0) + 1])
                   filter (where b.begins + 24 > r.ending - 23) as reports_24h,
               sum(b.until_now - b.hours[greatest(r.ending - 167 - b.begins, 0) + 1])
                   filter (where b.begins + 24 > r.ending - 167) as reports_7d,
               sum(b.amounts[121]) as reports,
               sum(b.amounts[r.bucket + 1] + b.amounts[r.bucket + 2]) as twice_lower
        from report r cross join lateral (
            select a.begins, a.hours, a.amounts, a.hours[least(r.ending + 1 - a.begins, 24) + 1] as until_now
            from (
                select (day - date '1970-01-01') * 24 as begins, hours, amounts from branch_day
                where branch = r.branch and day <= date '1970-01-01' + r.day and day > date '1970-01-01' + r.day - 30
            ) a
        ) b
        group by r.id
    )
    select r.id as report_id,
           (c.reports_2h - $6 * (r.own >= r.ending - 1)::integer)::bigint as "branch.reports_2h",
           (c.reports_24h - $6 * (r.own >= r.ending - 23)::integer)::bigint as "branch.reports_24h",
           (c.reports_7d - $6 * (r.own >= r.ending - 167)::integer)::bigint as "branch.reports_7d",
           case when c.reports - own.counted >= 20
                then 50 * (c.twice_lower - own.counted) / (c.reports - own.counted) end as "branch.amount_percentile"
    from report r
    cross join lateral (select $6 * (r.own_day > r.day - 30)::integer as counted) own
    left join counted c on c.id = r.id
"""
"""Hours are counted since 1970, days begin at midnight UTC."""

OF_BRANCHES: Final = tuple(feature.name for feature in BRANCH)


def bucket(amount_fen: int) -> int:
    """Return the tenth of a power of ten that an amount lies in: 100 fen and 125 fen in 20, 126 fen in 21."""
    return min(BUCKETS - 1, math.floor(10 * math.log10(amount_fen)))


def _hour(moment: datetime) -> int:
    return int(moment.timestamp() // SECONDS_AN_HOUR)


async def branches(
    connection: Connection, reports: Sequence[ReportFiled], as_of: datetime | None
) -> dict[UUID, dict[str, Value]]:
    """Return the tempo of each report's branch, by clock hour, and where the amount lies among its others.

    Without `as_of` the reports have not been counted yet; with it they have, and their own count is taken off.
    """
    rows = await connection.fetch(
        BRANCHES,
        [report.report_id for report in reports],
        [report.branch for report in reports],
        [bucket(report.amount_fen) for report in reports],
        [_hour(report.filed_at) for report in reports],
        [_hour(as_of or report.filed_at) for report in reports],
        1 if as_of else 0,
    )
    return {
        row["report_id"]: {name: DEFAULTS[name] if row[name] is None else row[name] for name in OF_BRANCHES}
        for row in rows
    }


async def count_branches(connection: Connection, reports: Sequence[ReportFiled]) -> None:
    """Add new reports to their branches' days, in one order: two replicas cannot block each other."""
    hours: dict[tuple[str, date], list[int]] = {}
    amounts: dict[tuple[str, date], list[int]] = {}
    for report in reports:
        filed_at = report.filed_at.astimezone(UTC)
        key = report.branch, filed_at.date()
        hours.setdefault(key, [0] * (HOURS + 1))[filed_at.hour + 1] += 1
        amounts.setdefault(key, [0] * (BUCKETS + 1))[bucket(report.amount_fen) + 1] += 1
    await connection.execute(
        """
        insert into branch_day as d (branch, day, hours, amounts)
        select u.branch, u.day, u.hours::integer[], u.amounts::integer[]
        from unnest($1::text[], $2::date[], $3::text[], $4::text[]) as u (branch, day, hours, amounts)
        order by u.branch, u.day
        on conflict (branch, day) do update
        set hours = (select array_agg(one + other order by place)
                     from unnest(d.hours, excluded.hours) with ordinality as u (one, other, place)),
            amounts = (select array_agg(one + other order by place)
                       from unnest(d.amounts, excluded.amounts) with ordinality as u (one, other, place))
        """,
        [branch for branch, _ in hours],
        [day for _, day in hours],
        [_up_to(counts) for counts in hours.values()],
        [_up_to(counts) for counts in amounts.values()],
    )


def _up_to(counts: Sequence[int]) -> str:
    """Write running sums as an array: lists of lists have no type of their own in SQL."""
    return f"{{{','.join(map(str, accumulate(counts)))}}}"
