"""notifier's share in reconciling: the keeper of cases, orders and findings.

It says again what intake or rules lack. It tells them which reports, dispositions and answers it knows, and what the
ledger has of them; and it looks whether every alert-level report is in a case that somebody was alerted to.
"""

from collections.abc import Sequence
from typing import Final

from services.notifier import tally_store
from services.notifier.cases import report_store
from services.notifier.cases.announcing import announce
from services.notifier.cases.decisions import outcome_of
from services.notifier.orders.order import Standing
from shared.events import OrderChanged, Tallied
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Connection, Row
from shared.share import Compared, Said, Share, nothing
from shared.tally import Gap


async def _announce(connection: Connection, gaps: Sequence[Gap]) -> list[Outgoing]:
    """Say how the cases of windows stand."""
    return await _kept(connection, await announce(connection, await tally_store.cases_in(connection, gaps)))


async def _send_orders(connection: Connection, gaps: Sequence[Gap]) -> list[Outgoing]:
    """Send the orders of windows again; those the bank has yet to answer are obligations once more."""
    return await _kept(connection, [_order(row) for row in await tally_store.orders_in(connection, gaps)])


def _order(row: Row) -> Outgoing:
    event = OrderChanged.model_validate_json(row["event"])
    waits = row["status"] == Standing.PENDING
    return outgoing(event, row["id"] if waits else new_id(), traceparent=row["traceparent"], awaits_answer=waits)


async def _repeat_outcomes(connection: Connection, gaps: Sequence[Gap]) -> list[Outgoing]:
    """Say again by which findings cases are closed."""
    closed = await tally_store.closed_in(connection, gaps)
    reports = await report_store.reports_in(connection, [one.id for one in closed])
    said = [outcome_of(one, reports.get(one.id, []), one.closed_at) for one in closed if one.closed_at]
    return await _kept(connection, said)


async def _kept(connection: Connection, rows: list[Outgoing]) -> list[Outgoing]:
    await keep(connection, rows)
    return rows


SHARE: Final = Share(
    "notifier",
    said=(
        Said(Tallied.REPORTS, tally_store.reports),
        Said(Tallied.DISPOSITIONS, tally_store.dispositions),
        Said(Tallied.FEEDBACK, tally_store.feedback),
        Said(Tallied.ALERTS, nothing),
    ),
    compared=(
        Compared("intake", Tallied.CASES, tally_store.cases, _announce),
        Compared("intake", Tallied.ORDERS, tally_store.orders, _send_orders),
        Compared("rules", Tallied.OUTCOMES, tally_store.outcomes, _repeat_outcomes),
        Compared("notifier", Tallied.ALERTS, tally_store.unalerted),
    ),
)
