"""intake's SQL for what it tallies, and for the obligations it puts back: one query a function, sets in, sets out.

`offset 0` keeps the planner from joining tables as wholes: it does not know how short windows are.
"""

from collections.abc import Sequence
from typing import Final

from shared.counting import counting
from shared.postgres import Connection, Row
from shared.tally import Gap

UNANSWERED: Final = """
    not coalesce((
        select (v.level = 'alert') = exists (select from case_report c where c.report_id = r.id)
        from verdict v where v.report_id = r.id
    ), false)
"""
"""Whether report `r` lacks an answer: a verdict and, at alert level and only there, a case."""

reports: Final = counting("report", "id")
"""Reports filed in windows. The primary key alone is read."""

reports_with_money: Final = counting("report", "id", fen="sum(amount_fen)")

dispositions: Final = counting("disposition", "report_id", where="recorded_at < before", fen="sum(amount_fen)")
"""Dispositions of the reports filed in windows."""

feedback: Final = counting("feedback", "id")
"""Banks' answers received in windows."""

cases: Final = counting("case_view", "case_id", version="version")
"""Cases opened in windows, as banks see them."""

orders: Final = counting("bank_order", "id", version="version")
"""Orders given in windows, as banks see them."""

unanswered: Final = counting("report r", "id", where=UNANSWERED)
"""Reports filed in windows that lack an answer."""


async def reports_in(connection: Connection, gaps: Sequence[Gap]) -> list[Row]:
    """Return the events of the windows' reports that are not in the outbox, where they are still kept."""
    return await connection.fetch(
        """
        select r.event, r.traceparent
        from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        cross join lateral (
            select id, event, traceparent from report
            where id >= w.first and id < w.last and event is not null offset 0
        ) r
        where not exists (select from outbox o where o.id = r.id offset 0) order by r.id
        """,
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )


async def unanswered_in(connection: Connection, gaps: Sequence[Gap]) -> list[Row]:
    """Return the same of those reports only that lack an answer."""
    return await connection.fetch(
        f"""
        select r.event, r.traceparent
        from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        cross join lateral (
            select id, event, traceparent from report
            where id >= w.first and id < w.last and event is not null offset 0
        ) r
        where not exists (select from outbox o where o.id = r.id offset 0) and {UNANSWERED} order by r.id
        """,  # noqa: S608 - a constant condition
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )


async def dispositions_in(connection: Connection, gaps: Sequence[Gap]) -> list[Row]:
    """Return the dispositions of the windows' reports that are not in the outbox, with what their event says."""
    return await connection.fetch(
        """
        select d.id, d.report_id, d.outcome, d.amount_fen, d.recorded_at, r.payee_token, r.traceparent
        from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        cross join lateral (select * from disposition where report_id >= w.first and report_id < w.last offset 0) d
        cross join lateral (select payee_token, traceparent from report where id = d.report_id offset 0) r
        where not exists (select from outbox o where o.id = d.id offset 0) order by d.id
        """,
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )


async def feedback_in(connection: Connection, gaps: Sequence[Gap]) -> list[Row]:
    """Return the events of the windows' answers that are not in the outbox."""
    return await connection.fetch(
        """
        select f.event
        from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        cross join lateral (select id, event from feedback where id >= w.first and id < w.last offset 0) f
        where not exists (select from outbox o where o.id = f.id offset 0) order by f.id
        """,
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )
