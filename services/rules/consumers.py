"""What rules hears: reports, how visits ended, and what the police found."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from services.rules import handlers
from services.rules.handlers import Court, Taken
from services.rules.metrics import Metrics
from services.rules.packs import Packs
from shared.chain import Handle
from shared.events import DispositionRecorded, Event, Level, OutcomeDecided, ReportFiled, VerdictTaken
from shared.outbox import Outgoing
from shared.postgres import Pool
from shared.privacy import Seal
from shared.records import Received
from shared.tracing import named

log = structlog.get_logger()

E = TypeVar("E", bound=Event)


def since(event: Event) -> datetime | None:
    """Since when a teller has been waiting for this report's verdict."""
    return event.filed_at if isinstance(event, ReportFiled) else None


def handling(pool: Pool, packs: Packs, narrative: Seal, metrics: Metrics) -> Handle:
    """Return the batch handler. What became of earlier reports comes first: the next are judged by it."""

    async def handle(batch: Sequence[Received]) -> Sequence[Outgoing]:
        court = Court(await packs.in_force(), narrative, datetime.now(UTC))
        rows: list[Outgoing] = []
        if taken := _of(batch, VerdictTaken):
            await handlers.end_obligations(pool, [event.verdict_id for event in taken])
        if ended := _of(batch, DispositionRecorded):
            metrics.count_dispositions(await handlers.record_dispositions(pool, ended))
        if outcomes := _of(batch, OutcomeDecided):
            traces = {one.event.outcome_id: one.traceparent for one in batch if isinstance(one.event, OutcomeDecided)}
            rows += _counted(metrics, await handlers.apply_outcomes(pool, court, outcomes, traces))
            metrics.outcomes.inc(len(outcomes))
        reports = [(one.event, one.traceparent) for one in batch if isinstance(one.event, ReportFiled)]
        if reports:
            rows += _counted(metrics, await handlers.judge_reports(pool, court, reports))
        return rows

    return handle


def _of(batch: Sequence[Received], kind: type[E]) -> list[E]:
    return [received.event for received in batch if isinstance(received.event, kind)]


def _counted(metrics: Metrics, taken: Taken) -> Sequence[Outgoing]:
    metrics.count(taken)
    for one in (*taken.fresh, *taken.again):
        if one.event.level is Level.ALERT:
            report_id, trace = str(one.event.report.report_id), named(one.row.traceparent)
            log.info("judged_alert", report_id=report_id, version=one.event.version, pack=one.event.pack, **trace)
    return taken.rows
