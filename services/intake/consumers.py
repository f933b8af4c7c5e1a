"""What intake hears: verdicts, cases, orders."""

from collections.abc import Sequence
from datetime import UTC, datetime

from services.intake import handlers
from services.intake.desk import VerdictBoard
from services.intake.metrics import Metrics
from shared.chain import Handle
from shared.events import CaseChanged, DispositionCounted, OrderChanged, ReportsCounted, VerdictReached
from shared.outbox import Outgoing
from shared.postgres import Pool
from shared.records import Received


def handling(pool: Pool, board: VerdictBoard, metrics: Metrics) -> Handle:
    """Return the batch handler."""

    async def handle(batch: Sequence[Received]) -> Sequence[Outgoing]:
        events = [received.event for received in batch]
        if verdicts := [event for event in events if isinstance(event, VerdictReached)]:
            await handlers.note_verdicts(pool, verdicts)
            board.show([verdict.report.report_id for verdict in verdicts])
            _time(metrics, verdicts)
        if cases := [event for event in events if isinstance(event, CaseChanged)]:
            await handlers.note_cases(pool, cases)
        if reports := [event for event in events if isinstance(event, ReportsCounted)]:
            await handlers.note_reports_counted(pool, reports)
        if counted := [event for event in events if isinstance(event, DispositionCounted)]:
            await handlers.note_dispositions_counted(pool, counted)
        if orders := [event for event in events if isinstance(event, OrderChanged)]:
            await handlers.note_orders(pool, orders)
        return []

    return handle


def _time(metrics: Metrics, verdicts: Sequence[VerdictReached]) -> None:
    now = datetime.now(UTC)
    for verdict in verdicts:
        if verdict.version > 1:
            # it was filed long ago, and that is nobody's delay: its clock begins with the later fact
            stage, began = "rejudged_to_verdict_shown", verdict.judged_at
        else:
            stage, began = "accepted_to_verdict_shown", verdict.report.filed_at
        metrics.stage.labels(stage).observe(max(0.0, (now - began).total_seconds()))
