"""What notifier hears: verdicts, dispositions, feedback."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from services.notifier import handlers
from services.notifier.clock import Deadlines
from services.notifier.handlers import Taken
from services.notifier.metrics import Metrics
from services.notifier.order import Order
from shared.chain import Handle
from shared.events import (
    DispositionRecorded,
    FeedbackContradicted,
    FeedbackReceived,
    OutcomeApplied,
    VerdictReached,
)
from shared.outbox import Outgoing, answered
from shared.postgres import Pool
from shared.privacy import Seal
from shared.records import Received


def handling(
    pool: Pool, identity: Seal, deadlines: Deadlines, metrics: Metrics, alerted: Callable[[], Awaitable[None]]
) -> Handle:
    """Return the batch handler; `alerted` is called once new alerts are committed."""

    async def handle(batch: Sequence[Received]) -> Sequence[Outgoing]:
        now = datetime.now(UTC)
        events = [received.event for received in batch]
        rows: list[Outgoing] = []
        if verdicts := [event for event in events if isinstance(event, VerdictReached)]:
            taken = await handlers.take_verdicts(pool, identity, deadlines, verdicts, now)
            if taken.placed:
                await alerted()
            rows += taken.rows
            _count_verdicts(metrics, taken)
        if dispositions := [event for event in events if isinstance(event, DispositionRecorded)]:
            rows += await handlers.count_dispositions(pool, dispositions, now)
        for event in events:
            if isinstance(event, FeedbackReceived):
                order, said = await handlers.take_feedback(pool, event, now)
                rows += said
                _count_answer(metrics, order)
            elif isinstance(event, FeedbackContradicted):
                rows += await handlers.note_contradiction(pool, event, now)
        if applied := [event.outcome_id for event in events if isinstance(event, OutcomeApplied)]:
            async with pool.acquire() as connection, connection.transaction():
                await answered(connection, applied)
        return rows

    return handle


def _count_verdicts(metrics: Metrics, taken: Taken) -> None:
    now = datetime.now(UTC)
    for verdict in taken.new:
        metrics.reports.labels(verdict.level.value).inc()
    for placed in taken.placed:
        metrics.cases.labels(placed.unit, "opened" if placed.opened else "joined").inc()
        age = (now - placed.verdict.report.filed_at).total_seconds()
        metrics.stage.labels("accepted_to_alert").observe(max(0.0, age))


def _count_answer(metrics: Metrics, order: Order | None) -> None:
    if order is None:
        return
    metrics.answers.labels(order.kind.value, order.bank, order.status.value).inc()
    if order.answered_at:
        took = (order.answered_at - order.ordered_at).total_seconds()
        metrics.stage.labels("order_to_feedback").observe(max(0.0, took))
