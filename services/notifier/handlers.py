"""notifier's use cases that events bring: one function each, one transaction each.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.notifier import alert, alert_store, case, ledger, money_store, order, people_store, store, timeline
from services.notifier.alert_store import Alert
from services.notifier.case import Alerting, Case, Entry, Placed, Placement
from services.notifier.clock import Deadlines
from services.notifier.ledger import Book
from services.notifier.order import Order
from shared.events import (
    DispositionCounted,
    DispositionOutcome,
    DispositionRecorded,
    FeedbackContradicted,
    FeedbackReceived,
    Level,
    OrderChanged,
    OrderKind,
    OrderStatus,
    ReportsCounted,
    VerdictReached,
)
from shared.outbox import Outgoing, answered, keep, new_id, outgoing
from shared.postgres import Connection, Pool, Row
from shared.privacy import Seal

Line = tuple[UUID, ledger.Entry]
"""An entry to be booked, and the event that is its cause."""


class UnknownOrderError(Exception):
    """A feedback names an order or a case that the database does not know.

    Look whether the database was restored to an earlier point; its record lies in the dead letters.
    """


@dataclass(frozen=True, slots=True)
class Taken:
    """What a batch of verdicts led to."""

    new: list[VerdictReached]
    placed: Sequence[Placed]
    rows: list[Outgoing]


async def take_verdicts(
    pool: Pool, identity: Seal, deadlines: Deadlines, verdicts: Sequence[VerdictReached], now: datetime
) -> Taken:
    """Count new reports, open or join cases for those at alert level, and alert the units in charge.

    A verdict that was taken before is answered with its case as it stands. Raises `OpenedMeanwhileError`.
    """
    by_report = {verdict.report.report_id: verdict for verdict in verdicts}
    async with pool.acquire() as connection, connection.transaction():
        branches = sorted({verdict.report.branch for verdict in by_report.values()})
        units = await people_store.units_of_branches(connection, branches)
        fresh = await store.insert_reports(connection, list(by_report.values()), units)
        new = [verdict for report_id, verdict in by_report.items() if report_id in fresh]
        rows = await _answer_again(connection, [report_id for report_id in by_report if report_id not in fresh])
        placement = await _place(connection, identity, deadlines, new, units, now)
        if placement.reports:
            rows += await _announce(connection, placement.cases())
        rows += _counted(list(by_report), await store.reports_in_cases(connection, list(by_report)))
        lines, counted = await _count(connection, [verdict.report.report_id for verdict in new], now)
        await money_store.book(connection, [*_reported(new, units), *lines])
        await keep(connection, rows + counted)
    return Taken(new, placement.reports, rows + counted)


def _reported(verdicts: Sequence[VerdictReached], units: Mapping[str, tuple[str, str]]) -> list[Line]:
    return [
        (
            verdict.report.report_id,
            ledger.Entry(
                ledger.Kind.REPORTED,
                verdict.report.amount_fen,
                verdict.report.bank,
                units[verdict.report.branch][0],
                verdict.report.report_id,
            ),
        )
        for verdict in verdicts
    ]


async def _answer_again(connection: Connection, report_ids: Sequence[UUID]) -> list[Outgoing]:
    if not report_ids:
        return []
    return await _announce(connection, await store.cases_of_reports(connection, report_ids))


def _counted(report_ids: Sequence[UUID], in_cases: set[UUID]) -> list[Outgoing]:
    """Answer the reports that no case answers for."""
    others = sorted(set(report_ids) - in_cases)
    return [outgoing(ReportsCounted(report_ids=tuple(others)), new_id())] if others else []


async def _announce(connection: Connection, cases: Sequence[Case]) -> list[Outgoing]:
    """Say how cases stand."""
    reports = await store.reports_in(connection, [one.id for one in cases])
    return [outgoing(case.changed(one, reports.get(one.id, ())), new_id()) for one in cases]


async def _place(
    connection: Connection,
    identity: Seal,
    deadlines: Deadlines,
    new: Sequence[VerdictReached],
    units: dict[str, tuple[str, str]],
    now: datetime,
) -> Placement:
    urgent = [verdict for verdict in new if verdict.level is Level.ALERT]
    if not urgent:
        return Placement({}, {}, (), ())
    masked = {verdict.report.report_id: alert.masks(verdict, identity) for verdict in urgent}
    alerting = [
        Alerting(verdict, units[verdict.report.branch][0], masked[verdict.report.report_id]["payee"], new_id())
        for verdict in urgent
    ]
    tokens = sorted({verdict.report.payee_token for verdict in urgent})
    placement = case.place(alerting, await store.open_cases(connection, tokens), deadlines, now)
    await store.insert_cases(connection, list(placement.opened.values()))
    await store.update_cases(connection, list(placement.joined.values()))
    await store.put_into_cases(connection, placement.reports, units)
    await store.write_timeline(connection, placement.entries)
    cases = {one.id: one for one in placement.cases()}
    alerts = []
    for one in placement.reports:
        report = one.verdict.report
        alert_id = new_id()
        told = alert.facts(
            alert_id, cases[one.case_id], one.verdict, one.unit, masked[report.report_id], opened=one.opened
        )
        path = units[report.branch][1]
        alerts.append(Alert(alert_id, one.case_id, report.report_id, one.unit, path, told, now))
    await alert_store.insert_alerts(connection, alerts)
    return placement


async def count_dispositions(pool: Pool, events: Sequence[DispositionRecorded], now: datetime) -> list[Outgoing]:
    """Let the ledger know how visits ended. One whose report is not known yet waits for its verdict."""
    async with pool.acquire() as connection, connection.transaction():
        await money_store.insert_dispositions(connection, events)
        lines, rows = await _count(connection, [event.report_id for event in events], now)
        await money_store.book(connection, lines)
        await keep(connection, rows)
    return rows


async def _count(
    connection: Connection, report_ids: Sequence[UUID], now: datetime
) -> tuple[list[Line], list[Outgoing]]:
    """Tell the cases of these reports how the visits ended; return what is to be booked and said for it."""
    cases = await store.locked_cases_of(connection, report_ids)
    found = await money_store.dispositions_of(connection, report_ids, [one.id for one in cases])
    if not found:
        return [], []
    books = await money_store.books(connection, cases, [row["report_id"] for row in found if not row["case_id"]])
    await store.tell(connection, [_told(row, now) for row in found if row["case_id"]])
    events = [
        DispositionCounted(disposition_id=row["id"], report_id=row["report_id"], case_id=row["case_id"])
        for row in found
    ]
    return _lines(books, found), [outgoing(event, new_id()) for event in events]


def _lines(books: Sequence[Book], dispositions: Sequence[Row]) -> list[Line]:
    """Name the cause of each entry: the report's own disposition, else one of the case.

    One that was a cause before is none again, since the same cause books the same money once.
    """
    own = {row["report_id"]: row["id"] for row in dispositions if not row["booked"]}
    of_case = {row["case_id"]: row["id"] for row in dispositions if not row["booked"]}
    return [
        (own.get(entry.report_id) or of_case.get(book.case_id) or new_id(), entry)
        for book in books
        for entry in ledger.entries(book)
    ]


def _told(row: Row, now: datetime) -> Entry:
    outcome = DispositionOutcome(row["outcome"])
    return timeline.visit_ended(row["case_id"], row["id"], outcome, row["amount_fen"], now)


async def take_feedback(pool: Pool, feedback: FeedbackReceived, now: datetime) -> tuple[Order | None, list[Outgoing]]:
    """Apply the bank's answer to its order, count the money, say so. The second time, say it again.

    Returns the order where this was news. Raises `UnknownOrderError`.
    """
    async with pool.acquire() as connection, connection.transaction():
        about = await _locked_case(connection, feedback.case_id)
        on_account = await money_store.orders_on(connection, about.payee_token)
        before = next((one for one in on_account if one.id == feedback.order_id), None)
        if before is None:
            raise UnknownOrderError
        event = await money_store.event_of(connection, before.id)
        if before.status is OrderStatus.PENDING:
            after = order.answered(before, feedback)
            rows = await _apply(connection, about, after, _order_event(event, after), now)
        else:
            after = None
            rows = [outgoing(event.model_copy(update={"answers": feedback.feedback_id}), new_id())]
        await keep(connection, rows)
    return after, rows


async def _locked_case(connection: Connection, case_id: UUID) -> Case:
    found = await store.locked_case(connection, case_id)
    if found is None:
        raise UnknownOrderError
    return found


async def _apply(
    connection: Connection, about: Case, after: Order, said: OrderChanged, now: datetime
) -> list[Outgoing]:
    """Write an answered order down, with what follows for the case and the money."""
    await money_store.update_order(connection, after, said)
    await answered(connection, [after.id])
    if after.kind is OrderKind.RELEASE_STOP and after.status is OrderStatus.EXECUTED:
        await money_store.mark_released(connection, after.case_id, after)
    [book] = await money_store.books(connection, [about], [])
    cause = after.feedback_id or after.id
    await money_store.book(connection, [(cause, entry) for entry in ledger.entries(book)])
    await store.write_timeline(connection, [timeline.answered(after, now)])
    changed = replace(about, version=about.version + 1)
    await store.update_cases(connection, [changed])
    return [outgoing(said, new_id()), *await _announce(connection, [changed])]


def _order_event(event: OrderChanged, after: Order) -> OrderChanged:
    return event.model_copy(
        update={
            "version": after.version,
            "status": after.status,
            "expires_at": after.expires_at,
            "answers": after.feedback_id,
        }
    )


async def note_contradiction(pool: Pool, event: FeedbackContradicted, now: datetime) -> list[Outgoing]:
    """Put a contradicting answer where the officers see it, once, and answer it. Raises `UnknownOrderError`."""
    async with pool.acquire() as connection, connection.transaction():
        about = await _locked_case(connection, event.case_id)
        await store.tell(connection, [timeline.contradicted(about.id, event, now)])
        order_as_it_stands = await money_store.event_of(connection, event.order_id)
        rows = [outgoing(order_as_it_stands.model_copy(update={"answers": event.contradiction_id}), new_id())]
        await keep(connection, rows)
    return rows
