"""notifier's SQL for what it tallies, and for what it says again: one query a function, sets in, sets out."""

from collections.abc import Sequence
from typing import Final

from services.notifier.cases.case import Case
from services.notifier.cases.store import CASE_FIELDS, case_of
from shared.counting import counting
from shared.postgres import Connection, Row
from shared.tally import Gap

AT_THE_BANK: Final = "status not in ('proposed', 'rejected')"
"""Which orders banks know of."""


UNALERTED: Final = """
    r.level = 'alert'
    and not exists (select from fraud_case c join alert a on a.case_id in (c.id, c.split_from) where c.id = r.case_id)
"""
"""Whether report `r` is at alert level and in no case, or in one that nobody was alerted to."""

REPORTED: Final = """
    (select sum(fen) from ledger where report_id >= w.first and report_id < w.last and kind = 'reported')
"""
"""What the ledger has of a window's reports."""

reports: Final = counting("report", "id", fen=REPORTED)
"""Reports filed in windows, with what the ledger has as reported of them."""

dispositions: Final = counting("disposition", "report_id", where="recorded_at < before", fen="sum(amount_fen)")
"""Dispositions of the reports filed in windows."""

feedback: Final = counting("feedback", "id")
"""Banks' answers that intake received in windows."""

cases: Final = counting("fraud_case", "id", version="version", rests="max(changed_at) < before")
"""Cases opened in windows."""

orders: Final = counting(
    "bank_order",
    "id",
    version="version",
    where=AT_THE_BANK,
    rests="max(greatest(ordered_at, approved_at, answered_at)) < before",
)
"""Orders drawn up in windows that banks know of."""

outcomes: Final = counting("fraud_case", "outcome_id", where="closed_at < before", rests="max(changed_at) < before")
"""Findings of windows by which cases are closed. An id is minted as its case is closed."""

unalerted: Final = counting("report r", "r.id", where=UNALERTED)
"""Reports filed in windows that nobody was alerted to and should have been."""


async def cases_in(connection: Connection, gaps: Sequence[Gap]) -> list[Case]:
    """Return the cases opened in windows."""
    rows = await connection.fetch(
        f"""
        select {CASE_FIELDS} from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        join fraud_case on id >= w.first and id < w.last order by id
        """,  # noqa: S608 - constant field list
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )
    return [case_of(row) for row in rows]


async def orders_in(connection: Connection, gaps: Sequence[Gap]) -> list[Row]:
    """Return the latest events of the windows' orders that banks know of and that are not in the outbox."""
    return await connection.fetch(
        f"""
        select id, status, event, (select traceparent from fraud_case c where c.id = case_id) as traceparent
        from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        join bank_order on id >= w.first and id < w.last
        where {AT_THE_BANK} and not exists (select from outbox o where o.id = bank_order.id) order by id
        """,  # noqa: S608 - a constant condition
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )


async def closed_in(connection: Connection, gaps: Sequence[Gap]) -> list[Case]:
    """Return the cases closed with findings of windows that are not in the outbox."""
    rows = await connection.fetch(
        f"""
        select {CASE_FIELDS} from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        join fraud_case on outcome_id >= w.first and outcome_id < w.last
        where closed_at is not null and not exists (select from outbox o where o.id = outcome_id) order by id
        """,  # noqa: S608 - constant field list
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )
    return [case_of(row) for row in rows]
