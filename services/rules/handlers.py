"""rules' use cases: one function each, one transaction each, for a whole batch at a time."""

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.rules import builtin, store
from services.rules.features import Branch, Judged, facts
from services.rules.pack import evaluate
from services.rules.verdict import Verdict, decide
from shared.events import OutcomeApplied, OutcomeDecided, ReportFiled, VerdictReached
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Connection, Pool
from shared.privacy import Seal

Traced = tuple[ReportFiled, str]
"""A report and the trace it belongs to."""


async def judge_reports(
    pool: Pool, narrative: Seal, reports: Sequence[Traced], now: datetime
) -> tuple[list[VerdictReached], list[Outgoing]]:
    """Judge the reports that are new; answer those judged before with the verdict they have.

    Returns the fresh verdicts and all events to publish. Raises `SealBrokenError` for a narrative that
    cannot be opened.
    """
    by_id = {report.report_id: (report, trace) for report, trace in reports}
    async with pool.acquire() as connection, connection.transaction():
        fresh = await store.insert_sightings(connection, [report for report, _ in by_id.values()])
        new = [traced for report_id, traced in by_id.items() if report_id in fresh]
        verdicts, rows = await _judge(connection, narrative, sorted(new, key=_by_filing), now) if new else ([], [])
        again = await store.verdicts_of(connection, [report_id for report_id in by_id if report_id not in fresh])
        repeated = [_again(row["id"], by_id[row["report_id"]][0], row["event"], row["traceparent"]) for row in again]
        await keep(connection, repeated)
    return verdicts, rows + repeated


async def _judge(
    connection: Connection, narrative: Seal, new: Sequence[Traced], now: datetime
) -> tuple[list[VerdictReached], list[Outgoing]]:
    """Judge reports whose sightings are stored, one after the other, and store the verdicts together."""
    reports = [report for report, _ in new]
    known = await store.pasts(connection, reports)
    tempo = await store.branches(connection, reports)
    verdicts, rows = [], []
    judged = Judged()
    for report, trace in new:
        payee, payer = judged.added_to(*known[report.report_id], report)
        branch = tempo.get(report.report_id, Branch())
        looked_at = facts(report, _text(report, narrative), payee, payer, branch)
        verdict = _event(report, decide(evaluate(looked_at, builtin.RULES)), now)
        judged.remember(report, verdict.level)
        verdicts.append(verdict)
        rows.append(outgoing(verdict, verdict.verdict_id, traceparent=trace))
    await store.insert_verdicts(connection, verdicts, rows)
    await keep(connection, rows)
    await store.count_branches(connection, reports)
    return verdicts, rows


def _by_filing(traced: Traced) -> tuple[datetime, UUID]:
    return traced[0].filed_at, traced[0].report_id


def _text(report: ReportFiled, narrative: Seal) -> str:
    """Open what the teller wrote: the note and the purpose, one after the other."""
    opened = json.loads(narrative.open(report.narrative, str(report.report_id)))
    return f"{opened['purpose']} {opened['note']}"


def _event(report: ReportFiled, verdict: Verdict, now: datetime) -> VerdictReached:
    return VerdictReached(
        verdict_id=new_id(),
        version=1,
        level=verdict.level,
        score=verdict.score,
        scam_type=verdict.scam_type,
        findings=verdict.findings,
        advice=verdict.advice,
        pack=builtin.PACK,
        judged_at=now,
        report=report,
    )


def _again(verdict_id: UUID, report: ReportFiled, event: bytes, trace: str) -> Outgoing:
    return Outgoing(verdict_id, VerdictReached.topic, report.key(), VerdictReached.type, event, trace)


async def apply_outcomes(pool: Pool, outcomes: Sequence[OutcomeDecided], now: datetime) -> list[Outgoing]:
    """Let the police's findings count from the next report on; answer each, also the second time."""
    by_id = {outcome.outcome_id: outcome for outcome in outcomes}
    rows = [
        outgoing(
            OutcomeApplied(
                outcome_id=outcome.outcome_id, case_id=outcome.case_id, payee_token=outcome.payee_token, applied_at=now
            ),
            outcome.outcome_id,
        )
        for outcome in by_id.values()
    ]
    async with pool.acquire() as connection, connection.transaction():
        await store.apply_outcomes(connection, by_id)
        await keep(connection, rows)
    return rows
