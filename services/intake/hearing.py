"""What intake hears from the others: a batch of events is one transaction.

Verdicts come before cases in it: a report whose verdict and case come together has both its answers at once.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from uuid import UUID

from services.intake import order_store, store
from shared.events import (
    CaseChanged,
    DispositionCounted,
    Event,
    Level,
    OrderChanged,
    ReportFiled,
    ReportsCounted,
    VerdictReached,
)
from shared.outbox import Outgoing, answered, keep, outgoing
from shared.postgres import Connection, Pool

UNTRACED: Final[Mapping[UUID, str]] = MappingProxyType({})


async def hear(pool: Pool, events: Sequence[Event], traces: Mapping[UUID, str] = UNTRACED) -> None:
    """Keep the newest of what is said, and end the obligations it answers. `traces` are those of orders, by id."""
    verdicts = [event for event in events if isinstance(event, VerdictReached)]
    cases = [event for event in events if isinstance(event, CaseChanged)]
    orders = [event for event in events if isinstance(event, OrderChanged)]
    counted = {one for event in events if isinstance(event, ReportsCounted) for one in event.report_ids}
    ended = [event.disposition_id for event in events if isinstance(event, DispositionCounted)]
    ended += [order.answers for order in orders if order.answers is not None]
    async with pool.acquire() as connection, connection.transaction():
        if verdicts:
            await _note_verdicts(connection, verdicts)
        if cases:
            await _note_cases(connection, cases)
        await _end_questions(connection, verdicts, cases, counted)
        if orders:
            await _note_orders(connection, orders, traces)
        await answered(connection, ended)


async def _note_verdicts(connection: Connection, verdicts: Sequence[VerdictReached]) -> None:
    """Keep the newest verdicts."""
    newest = {v.report.report_id: v for v in sorted(verdicts, key=lambda v: v.version)}
    # in one order everywhere, so that replicas given the same records wait for each other in no circle
    await store.upsert_verdicts(connection, [newest[report_id] for report_id in sorted(newest)])


async def _note_cases(connection: Connection, cases: Sequence[CaseChanged]) -> None:
    """Keep the newest state of cases, and which reports are in them."""
    newest = {case.case_id: case for case in sorted(cases, key=lambda case: case.version)}
    await store.upsert_cases(connection, [newest[case_id] for case_id in sorted(newest)])
    if pairs := {(report_id, case.case_id) for case in cases for report_id in case.report_ids}:
        await store.link_reports(connection, sorted(pairs))


async def _end_questions(
    connection: Connection, verdicts: Sequence[VerdictReached], cases: Sequence[CaseChanged], counted: set[UUID]
) -> None:
    """End the obligations of the reports that are judged, and whose money is counted: in a case or by itself.

    A verdict alone ends none, but one that comes after its case is the last that was missing. A report that is in a
    case, though it was judged below alert, was judged again and that verdict is not here. It may be lost, and its
    sender has the police's answer: so the report is asked about once more, unless it still is.
    """
    in_cases = {report_id for case in cases for report_id in case.report_ids}
    alerts = {verdict.report.report_id for verdict in verdicts if verdict.level is Level.ALERT}
    if not (told := in_cases | alerts | counted):
        return
    done = await store.end_answered(connection, sorted(told))
    if misplaced := in_cases - done:
        rows = await store.judged_below_alert(connection, sorted(misplaced))
        await keep(connection, [question(row["event"], row["traceparent"]) for row in rows])


def question(event: bytes, traceparent: str) -> Outgoing:
    """Return the row that asks about a stored report."""
    report = ReportFiled.model_validate_json(event)
    return outgoing(report, report.report_id, traceparent=traceparent, awaits_answer=True)


async def _note_orders(connection: Connection, changed: Sequence[OrderChanged], traces: Mapping[UUID, str]) -> None:
    """Keep the newest version of orders."""
    newest = {order.order_id: order for order in sorted(changed, key=lambda order: order.version)}
    await order_store.upsert_orders(connection, [newest[order_id] for order_id in sorted(newest)], traces)
