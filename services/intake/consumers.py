"""What intake does when it hears something: it is kept, and whoever waits for a verdict is woken."""

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from services.intake.desk import VerdictBoard
from services.intake.hearing import hear
from services.intake.metrics import Metrics
from shared.chain import Handle
from shared.events import Event, Level, OrderChanged, VerdictReached
from shared.outbox import Outgoing
from shared.postgres import Pool
from shared.records import Received
from shared.tracing import named

log = structlog.get_logger()


def since(event: Event) -> datetime | None:
    """Since when a teller has been waiting for this: for the first verdict, not for what becomes known later."""
    if isinstance(event, VerdictReached) and event.version == 1:
        return event.report.filed_at
    return None


def handling(pool: Pool, board: VerdictBoard, metrics: Metrics) -> Handle:
    """Return the batch handler."""

    async def handle(batch: Sequence[Received]) -> Sequence[Outgoing]:
        events = [received.event for received in batch]
        traces = {one.event.order_id: one.traceparent for one in batch if isinstance(one.event, OrderChanged)}
        await hear(pool, events, traces)
        verdicts = [event for event in events if isinstance(event, VerdictReached)]
        board.show([verdict.report.report_id for verdict in verdicts])
        _time(metrics, verdicts)
        _tell(batch)
        return []

    return handle


def _tell(batch: Sequence[Received]) -> None:
    """Log the verdicts that call the police: few of all, and the ones somebody will ask about."""
    for one in batch:
        verdict = one.event
        if isinstance(verdict, VerdictReached) and verdict.level is Level.ALERT:
            report_id = str(verdict.report.report_id)
            log.info("alert_verdict_shown", report_id=report_id, version=verdict.version, **named(one.traceparent))


def _time(metrics: Metrics, verdicts: Sequence[VerdictReached]) -> None:
    now = datetime.now(UTC)
    for verdict in verdicts:
        if verdict.version > 1:
            # it was filed long ago, and that is nobody's delay: its clock begins with the later fact
            stage, began = metrics.rejudged_to_verdict_shown, verdict.judged_at
        else:
            stage, began = metrics.accepted_to_verdict_shown, verdict.report.filed_at
        stage.observe(max(0.0, (now - began).total_seconds()))
