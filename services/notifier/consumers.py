"""What notifier hears: verdicts, dispositions, feedback."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog

from services.notifier.cases import verdicts
from services.notifier.cases.case import Placed
from services.notifier.cases.verdicts import Taken
from services.notifier.metrics import Metrics
from services.notifier.money import handlers
from services.notifier.office import Office
from services.notifier.orders import answering, order_store
from services.notifier.orders.order import Order, Standing
from shared.chain import Handle
from shared.events import (
    DispositionRecorded,
    Event,
    FeedbackContradicted,
    FeedbackReceived,
    OrderKind,
    OutcomeApplied,
    VerdictReached,
)
from shared.outbox import Outgoing, answered
from shared.postgres import Pool
from shared.records import Received
from shared.tracing import named, note

log = structlog.get_logger()


def since(event: Event) -> datetime | None:
    """Since when a teller has been waiting for this: for the first verdict, not for what becomes known later."""
    if isinstance(event, VerdictReached) and event.version == 1:
        return event.report.filed_at
    return None


def handling(office: Office, metrics: Metrics, alerted: Callable[[], Awaitable[None]]) -> Handle:
    """Return the batch handler; `alerted` is called once new alerts are committed."""
    pool = office.pool

    async def handle(batch: Sequence[Received]) -> Sequence[Outgoing]:
        began = time.time_ns()
        now = await office.now()
        events = [received.event for received in batch]
        rows: list[Outgoing] = []
        if judged := [event for event in events if isinstance(event, VerdictReached)]:
            traces = _traces_of_verdicts(batch)
            taken = await verdicts.take_verdicts(pool, office.identity, office.deadlines(), judged, now, traces)
            if taken.placed:
                await alerted()
            rows += taken.rows
            _count_verdicts(metrics, taken)
            _tell(taken, traces, began)
        if dispositions := [event for event in events if isinstance(event, DispositionRecorded)]:
            traces = _traces_of_visits(batch)
            rows += await handlers.count_dispositions(pool, dispositions, now, traces)
        for event in events:
            if isinstance(event, FeedbackReceived):
                order, said = await answering.take_feedback(office, event, now)
                rows += said
                await _count_answer(pool, metrics, order)
            elif isinstance(event, FeedbackContradicted):
                rows += await answering.note_contradiction(pool, event, now)
                await alerted()
        if applied := [event.outcome_id for event in events if isinstance(event, OutcomeApplied)]:
            async with pool.acquire() as connection, connection.transaction():
                await answered(connection, applied)
        return rows

    return handle


def _traces_of_verdicts(batch: Sequence[Received]) -> dict[UUID, str]:
    return {one.event.report.report_id: one.traceparent for one in batch if isinstance(one.event, VerdictReached)}


def _traces_of_visits(batch: Sequence[Received]) -> dict[UUID, str]:
    return {one.event.report_id: one.traceparent for one in batch if isinstance(one.event, DispositionRecorded)}


def _tell(taken: Taken, traces: Mapping[UUID, str], began: int) -> None:
    """Log which reports went into which cases, and record it."""
    for placed in taken.placed:
        report_id = placed.verdict.report.report_id
        trace, what = traces.get(report_id, ""), ("case_opened" if placed.opened else "case_joined")
        log.info(what, report_id=str(report_id), case_id=str(placed.case_id), unit=placed.unit, **named(trace))
        note("open case" if placed.opened else "join case", trace, began, {"lanjie.unit": placed.unit})


def _count_verdicts(metrics: Metrics, taken: Taken) -> None:
    now = datetime.now(UTC)
    for level, number in Counter(verdict.level.value for verdict in taken.new).items():
        metrics.reports.labels(level).inc(number)
    for (unit, how), number in Counter(map(_where, taken.placed)).items():
        metrics.cases.labels(unit, how).inc(number)
    again = [placed for placed in taken.placed if placed.verdict.version > 1]
    for (unit, how), number in Counter(map(_where, again)).items():
        metrics.rejudged.labels(unit, how).inc(number)
    filed, rejudged = metrics.stage.labels("accepted_to_alert"), metrics.stage.labels("rejudged_to_alert")
    for verdict in (placed.verdict for placed in taken.placed):
        # what is judged again was filed long ago, and that is nobody's delay: its clock begins with the later fact
        stage, began = (rejudged, verdict.judged_at) if verdict.version > 1 else (filed, verdict.report.filed_at)
        stage.observe(max(0.0, (now - began).total_seconds()))


def _where(placed: Placed) -> tuple[str, str]:
    return placed.unit, "opened" if placed.opened else "joined"


async def _count_answer(pool: Pool, metrics: Metrics, order: Order | None) -> None:
    if order is None:
        return
    metrics.answers.labels(order.kind.value, order.bank, order.status.value).inc()
    if order.answered_at:
        metrics.observe("order_to_feedback", (order.answered_at - order.ordered_at).total_seconds())
    if order.kind is OrderKind.STOP and order.status is Standing.EXECUTED:
        metrics.observe("accepted_to_stopped", await order_store.accepted_to_stopped(pool, order.id))
