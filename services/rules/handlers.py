"""rules' use cases: one function each, one transaction each, for a whole batch at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

import structlog

from services.rules import branch_store, list_store, outcome_store, past_store, store
from services.rules.batch import Batch
from services.rules.judging import InForce, Reached, reach, visit_of
from services.rules.locks import lock_payees
from services.rules.outcome_store import Labelled
from services.rules.store import LEVELS, Judged
from shared.events import (
    DispositionRecorded,
    Finding,
    Level,
    OutcomeApplied,
    OutcomeDecided,
    ReportFiled,
    VerdictReached,
)
from shared.outbox import Outgoing, answered, keep, new_id, outgoing
from shared.postgres import Connection, Pool
from shared.privacy import Seal, SealBrokenError
from shared.tracing import named

log = structlog.get_logger()

Traced = tuple[ReportFiled, str]
"""A report and the trace it belongs to."""


@dataclass(frozen=True, slots=True)
class Court:
    """What judging needs: the packs in force, the key to what tellers wrote, and the clock."""

    packs: InForce
    narrative: Seal
    now: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """What a batch led to: fresh verdicts, verdicts on earlier reports, and all events to publish.

    `more`: there may be more of the same to do. `found`: reports that the police's findings are about, by level.
    """

    fresh: Sequence[Judged] = ()
    again: Sequence[Judged] = ()
    rows: Sequence[Outgoing] = ()
    more: bool = False
    found: Sequence[Labelled] = ()


async def judge_reports(pool: Pool, court: Court, reports: Sequence[Traced]) -> Taken:
    """Judge the reports that are new; answer those judged before with the verdict they have.

    An alert makes more known of its payee, so that payee's reports of the last while are judged again.
    Raises `SealBrokenError` for a narrative that cannot be opened.
    """
    by_id = {report.report_id: (report, trace) for report, trace in reports}
    async with pool.acquire() as connection, connection.transaction():
        await lock_payees(connection, [report.payee_token for report, _ in by_id.values()], exclusive=False)
        fresh = await store.insert_sightings(connection, [report for report, _ in by_id.values()])
        new = sorted((traced for report_id, traced in by_id.items() if report_id in fresh), key=_by_filing)
        judged = await _judge(connection, court, new) if new else []
        alerted = {one.event.report.payee_token for one in judged if one.event.level is Level.ALERT}
        again = await _judge_again(connection, court, alerted, [one.event.report.filed_at for one in judged])
        repeated = await _repeat(connection, [one for one, _ in by_id.values() if one.report_id not in fresh])
    return Taken(judged, again, [*(one.row for one in (*judged, *again)), *repeated])


def _by_filing(traced: Traced) -> tuple[datetime, UUID]:
    return traced[0].filed_at, traced[0].report_id


async def _judge(connection: Connection, court: Court, new: Sequence[Traced]) -> list[Judged]:
    """Judge reports whose sightings are stored, one after the other, and store the verdicts together."""
    reports = [report for report, _ in new]
    known = await past_store.pasts(connection, reports, at=court.now)
    listed = await past_store.conditions(connection, reports, court.now)
    batch = Batch()
    judged = []
    for report, trace in new:
        past = batch.added_to(known[report.report_id], report)
        reached = reach(report, visit_of(report, court.narrative), past, listed.get(report.report_id, ()), court.packs)
        batch.remember(report, reached.verdict.level)
        judged.append(_judged(report, trace, reached, court, version=1))
    await store.insert_verdicts(connection, judged)
    await branch_store.count_branches(connection, reports)
    return judged


def _judged(report: ReportFiled, trace: str, reached: Reached, court: Court, version: int) -> Judged:
    """Make the event. A second verdict is kept in the outbox until the police's side has it.

    The first is said once: who wants to know it asks again until it is in a case, and is answered again (0028).
    """
    live, verdict = court.packs.live, reached.verdict
    event = VerdictReached(
        verdict_id=new_id(),
        version=version,
        level=verdict.level,
        score=verdict.score,
        scam_type=verdict.scam_type,
        findings=verdict.findings,
        advice=verdict.advice,
        pack=live.label(),
        pack_hash=live.pack.hash,
        judged_at=court.now,
        report=report,
    )
    owed = version > 1
    row = outgoing(event, event.verdict_id, traceparent=trace, awaits_answer=owed, kept=owed)
    return Judged(
        event, row, live.version, live.pack.hash, reached.facts, reached.lists, reached.shadow, reached.judgement.failed
    )


async def _judge_again(
    connection: Connection, court: Court, payees: Iterable[str], causes: Sequence[datetime]
) -> list[Judged]:
    """Judge the latest reports on payees again by what is known now; keep the verdicts whose level rose.

    `causes` says when what is new was stamped: by other clocks than ours, and it must not be left out for that.
    """
    within = timedelta(minutes=court.packs.live.pack.common.rejudge_within_minutes)
    payees = sorted(payees)
    rows = await store.rejudgeable(connection, payees, court.now - within) if payees and within else []
    if not rows:
        return []
    as_of = max(court.now, *causes)
    before = [(VerdictReached.model_validate_json(row["event"]), row["traceparent"]) for row in rows]
    reports = [event.report for event, _ in before]
    known = await past_store.pasts(connection, reports, as_of=as_of)
    listed = await past_store.conditions(connection, reports, as_of)
    judged = []
    for event, trace in before:
        report = event.report
        try:
            visit = visit_of(report, court.narrative)
        except SealBrokenError:  # the report that is new must not suffer for it
            log.warning("earlier_note_sealed", report=str(report.report_id), **named(trace))
            continue
        reached = reach(report, visit, known[report.report_id], listed.get(report.report_id, ()), court.packs)
        if LEVELS[reached.verdict.level] > LEVELS[event.level]:
            judged.append(_judged(report, trace, reached, court, version=event.version + 1))
    await store.insert_verdicts(connection, judged)
    await keep(connection, [one.row for one in judged])
    return judged


async def _repeat(connection: Connection, reports: Sequence[ReportFiled]) -> list[Outgoing]:
    """Say again what was said of reports that were judged before."""
    if not reports:
        return []
    keys = {report.report_id: report.key() for report in reports}
    rows = [
        Outgoing(
            row["id"],
            VerdictReached.topic,
            keys[row["report_id"]],
            VerdictReached.type,
            row["event"],
            row["traceparent"],
            awaits_answer=row["version"] > 1,
            kept=row["version"] > 1,
        )
        for row in await store.latest_verdicts(connection, reports)
    ]
    await keep(connection, rows)
    return rows


UNTRACED: Final[Mapping[UUID, str]] = MappingProxyType({})


async def apply_outcomes(
    pool: Pool, court: Court, outcomes: Sequence[OutcomeDecided], traces: Mapping[UUID, str] = UNTRACED
) -> Taken:
    """Let the police's findings count from now on, also for the latest reports, or no more where they took them back.

    Each is answered, also the second time. `traces` are those of outcomes, by id.
    """
    by_id = {outcome.outcome_id: outcome for outcome in outcomes}
    # an account counts as confirmed also where an unfounded finding is taken back that came after it was
    confirmed = {one.payee_token for one in by_id.values() if (one.finding is Finding.CONFIRMED) != bool(one.withdraws)}
    lasting = timedelta(days=court.packs.live.pack.common.confirmed_for_days)
    rows = [
        outgoing(_applied(outcome, court.now), outcome_id, traceparent=traces.get(outcome_id, ""))
        for outcome_id, outcome in by_id.items()
    ]
    async with pool.acquire() as connection, connection.transaction():
        found = await outcome_store.apply_outcomes(connection, list(by_id.values()), lasting)
        await keep(connection, rows)
        again = await _judge_again(connection, court, confirmed, [one.decided_at for one in by_id.values()])
    return Taken(again=again, rows=[*rows, *(one.row for one in again)], found=found)


def _applied(outcome: OutcomeDecided, now: datetime) -> OutcomeApplied:
    return OutcomeApplied(
        outcome_id=outcome.outcome_id, case_id=outcome.case_id, payee_token=outcome.payee_token, applied_at=now
    )


async def record_dispositions(pool: Pool, events: Sequence[DispositionRecorded]) -> list[Labelled]:
    """Remember how visits ended; return which that was news of, by level."""
    async with pool.acquire() as connection, connection.transaction():
        return await outcome_store.record_dispositions(connection, events)


async def end_obligations(pool: Pool, verdict_ids: Sequence[UUID]) -> None:
    """The police's side has these verdicts."""
    async with pool.acquire() as connection:
        await answered(connection, verdict_ids)


async def apply_entries(pool: Pool, court: Court) -> Taken:
    """Judge the latest reports again on payees that analysts put on a list since the last time."""
    async with pool.acquire() as connection, connection.transaction():
        payees = await list_store.newly_blocked(connection, court.now)
        await lock_payees(connection, payees, exclusive=True)
        again = await _judge_again(connection, court, payees, [court.now])
    return Taken(again=again, rows=[one.row for one in again], more=bool(payees))
