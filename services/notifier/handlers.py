"""notifier's use cases that events bring: one function each, one transaction each.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.notifier import alert, alert_store, case, ledger, money_store, order, store
from services.notifier.alert_store import Alert
from services.notifier.case import MACHINE, Alerting, Case, Entry, Placed, Placement
from services.notifier.clock import Deadlines
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
    VerdictReached,
)
from shared.money import yuan
from shared.outbox import Outgoing, answered, keep, new_id, outgoing
from shared.postgres import Connection, Pool
from shared.privacy import Seal


class UnknownOrderError(Exception):
    """A feedback names an order that the database does not know: was it restored to an earlier point?"""


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

    A verdict that was taken before is answered with its case as it stands.
    """
    by_report = {verdict.report.report_id: verdict for verdict in verdicts}
    async with pool.acquire() as connection, connection.transaction():
        branches = sorted({verdict.report.branch for verdict in by_report.values()})
        units = await store.units_of_branches(connection, branches)
        fresh = await store.insert_reports(connection, list(by_report.values()), units)
        new = [verdict for report_id, verdict in by_report.items() if report_id in fresh]
        rows = await _answer_again(connection, [report_id for report_id in by_report if report_id not in fresh])
        placement = await _place(connection, identity, deadlines, new, units, now)
        if placement.reports:
            rows += await _announce(connection, placement.cases())
        await keep(connection, rows)
        await money_store.book_reported(connection, new, units)
        counted = await _count_dispositions(connection, [verdict.report.report_id for verdict in new], now)
    return Taken(new, placement.reports, rows + counted)


async def _answer_again(connection: Connection, report_ids: Sequence[UUID]) -> list[Outgoing]:
    if not report_ids:
        return []
    return await _announce(connection, await store.cases_of_reports(connection, report_ids))


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
        return await _count_dispositions(connection, [event.report_id for event in events], now)


OUTCOME_TEXT = {
    DispositionOutcome.CANCELLED: "客户取消办理，劝阻成功",
    DispositionOutcome.PROCEEDED: "客户坚持办理",
    DispositionOutcome.ALREADY_SENT: "款项已经转出",
}


async def _count_dispositions(connection: Connection, report_ids: Sequence[UUID], now: datetime) -> list[Outgoing]:
    rows: list[Outgoing] = []
    found = await money_store.dispositions_of(connection, report_ids) if report_ids else []
    for row in found:
        if row["case_id"] is not None:
            await store.locked_case(connection, row["case_id"])
        booked = await _settle_money(connection, row["case_id"], row["report_id"], row["id"])
        if booked and row["case_id"] is not None:
            text = f"柜面处置：{OUTCOME_TEXT[DispositionOutcome(row['outcome'])]}，{yuan(row['amount_fen'])} 元"
            await store.write_timeline(connection, [Entry(row["case_id"], now, "disposition", MACHINE, text)])
        event = DispositionCounted(disposition_id=row["id"], report_id=row["report_id"], case_id=row["case_id"])
        rows.append(outgoing(event, new_id()))
    await keep(connection, rows)
    return rows


async def _settle_money(connection: Connection, case_id: UUID | None, report_id: UUID, cause: UUID) -> bool:
    """Bring the ledger to what the facts say; return whether anything was booked."""
    reports, stops, booked = await money_store.money_facts(connection, case_id, report_id)
    lines = ledger.entries(reports, stops, booked, case_id)
    await money_store.book(connection, [(cause, line) for line in lines])
    return bool(lines)


async def take_feedback(pool: Pool, feedback: FeedbackReceived, now: datetime) -> tuple[Order | None, list[Outgoing]]:
    """Apply the bank's answer to its order, count the money, say so. The second time, say it again.

    Returns the order where this was news. Raises `UnknownOrderError`.
    """
    async with pool.acquire() as connection, connection.transaction():
        locked = await store.locked_case(connection, feedback.case_id)
        found = await money_store.locked_order(connection, feedback.order_id)
        if locked is None or found is None:
            raise UnknownOrderError
        before, event = found
        if before.status is not OrderStatus.PENDING:
            rows = [outgoing(event.model_copy(update={"answers": feedback.feedback_id}), new_id())]
            await keep(connection, rows)
            return None, rows
        after = order.answered(before, feedback)
        said = _order_event(event, after)
        await money_store.update_order(connection, after, said)
        await answered(connection, [after.id])
        if after.kind is OrderKind.RELEASE_STOP and after.status is OrderStatus.EXECUTED:
            await money_store.mark_released(connection, after.case_id, after)
        reports = await store.reports_in(connection, [after.case_id])
        await _settle_money(connection, after.case_id, reports[after.case_id][0], feedback.feedback_id)
        await store.write_timeline(connection, [_feedback_entry(after, feedback, now)])
        changed = replace(locked, version=locked.version + 1)
        await store.update_cases(connection, [changed])
        rows = [outgoing(said, new_id()), outgoing(case.changed(changed, reports[after.case_id]), new_id())]
        await keep(connection, rows)
    return after, rows


def _order_event(event: OrderChanged, after: Order) -> OrderChanged:
    return event.model_copy(
        update={
            "version": after.version,
            "status": after.status,
            "expires_at": after.expires_at,
            "answers": after.feedback_id,
        }
    )


def _feedback_entry(after: Order, feedback: FeedbackReceived, now: datetime) -> Entry:
    match (after.status, after.kind):
        case (OrderStatus.EXECUTED, OrderKind.STOP):
            text = f"银行反馈：已止付 {yuan(feedback.stopped_fen or 0)} 元"
            if feedback.balance_before_fen is not None:
                text += f"（止付前余额 {yuan(feedback.balance_before_fen)} 元）"
        case (OrderStatus.EXECUTED, _):
            text = "银行反馈：已解除止付"
        case _:
            text = "银行反馈：未能执行，原因见反馈"
    return Entry(after.case_id, now, "feedback", f"bank:{after.bank}", text)


async def note_contradiction(pool: Pool, event: FeedbackContradicted, now: datetime) -> None:
    """Put a contradicting answer where the officers see it."""
    said = "已执行" if event.result.value == "success" else "未执行"
    amount = f"，金额 {yuan(event.stopped_fen)} 元" if event.stopped_fen is not None else ""
    text = f"需人工复核：银行对同一指令的反馈前后不一致，后一次称{said}{amount}"
    async with pool.acquire() as connection, connection.transaction():
        entry = Entry(event.case_id, now, "contradiction", f"bank:{event.bank}", text)
        await store.write_timeline(connection, [entry])


