"""What rules hears: reports and outcomes."""

from collections.abc import Sequence
from datetime import UTC, datetime

from services.rules import handlers
from services.rules.metrics import Metrics
from shared.chain import Handle
from shared.events import OutcomeDecided, ReportFiled, VerdictReached
from shared.outbox import Outgoing
from shared.postgres import Pool
from shared.privacy import Seal
from shared.records import Received


def handling(pool: Pool, narrative: Seal, metrics: Metrics) -> Handle:
    """Return the batch handler. Outcomes come first: the next report is judged by them."""

    async def handle(batch: Sequence[Received]) -> Sequence[Outgoing]:
        rows: list[Outgoing] = []
        if outcomes := [received.event for received in batch if isinstance(received.event, OutcomeDecided)]:
            rows += await handlers.apply_outcomes(pool, outcomes, datetime.now(UTC))
            metrics.outcomes.inc(len(outcomes))
        reports = [(one.event, one.traceparent) for one in batch if isinstance(one.event, ReportFiled)]
        if reports:
            verdicts, said = await handlers.judge_reports(pool, narrative, reports, datetime.now(UTC))
            rows += said
            _count(metrics, verdicts)
        return rows

    return handle


def _count(metrics: Metrics, verdicts: Sequence[VerdictReached]) -> None:
    if verdicts:
        metrics.batch.observe(len(verdicts))
    for verdict in verdicts:
        metrics.verdicts.labels(verdict.level.value, verdict.scam_type or "none").inc()
        metrics.stage.observe(max(0.0, (verdict.judged_at - verdict.report.filed_at).total_seconds()))
        for finding in verdict.findings:
            metrics.hits.labels(finding.rule).inc()
