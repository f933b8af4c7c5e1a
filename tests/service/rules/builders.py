"""Reports and findings as rules hears them, and short ways to remember them and to ask what is known."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from services.rules import branch_store, handlers, outcome_store, past_store, store
from services.rules.conditions import ConditionKind, Subject
from services.rules.features import DEFAULTS, Value
from services.rules.handlers import Court, Taken
from services.rules.judging import InForce, Published
from services.rules.list_store import Entry
from services.rules.locks import lock_payees
from services.rules.pack.compiled import CompiledPack
from services.rules.pack.compiling import compile_pack
from services.rules.past_store import PAST
from shared.events import (
    AccountType,
    Advice,
    Channel,
    DispositionOutcome,
    DispositionRecorded,
    Finding,
    Level,
    OutcomeDecided,
    ReportFiled,
    VerdictReached,
)
from shared.outbox import Outgoing, new_id, outgoing
from shared.postgres import Pool
from shared.privacy import Seal
from tests.parts import IDENTITY, NARRATIVE

NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
YEAR = timedelta(days=365)
INSTANT = timedelta(microseconds=1)
NOTHING_KNOWN: dict[str, Value] = {name: DEFAULTS[name] for name in PAST}

SCAM = "客户说要把钱转到安全账户，涉嫌洗钱"
"""A note that makes an alert by the tests' own pack."""

HINT = "群里叫做任务"
"""A note that makes a caution by it."""

PACK = {
    "pack.yaml": """
name: test
prior: -14
alert_from: 60
caution_from: 30
rejudge_within_minutes: 60
confirmed_for_days: 365
cues: {}
scam_types: {impersonated_authority: 冒充公检法, brushing_rebates: 刷单返利}
advice: {clear: {do: [办理]}, caution: {do: [核实]}, alert: {do: [暂缓]}}
""",
    "rules.yaml": """
title: 测试
owner: 测试
phrases:
  safe_account: {means: 安全账户, any: [安全账户]}
  task: {means: 做任务, any: [做任务]}
rules:
  - {id: safe, title: 安全账户, when: says.safe_account, weight: 20, alone: true, why: "提到{says.safe_account}",
     scam_type: impersonated_authority}
  - {id: task, title: 做任务, when: says.task, weight: 12, why: "提到{says.task}", scam_type: brushing_rebates}
  - {id: confirmed, title: 已确认, when: payee.confirmed, weight: 30, alone: true, why: 收款账户已确认涉诈,
     scam_type: payee.scam_type}
  - {id: alerted, title: 已预警, when: payee.alerts_7d >= 1, weight: 12, why: "已预警 {payee.alerts_7d} 次"}
  - {id: elsewhere, title: 换网点, when: payer.suspected_elsewhere_24h >= 1, weight: 12,
     why: "在其他网点可疑 {payer.suspected_elsewhere_24h} 次"}
  - {id: gathers, title: 汇集, when: payee.payers_24h >= 2, weight: 12, why: "{payee.payers_24h} 名不同客户"}
""",
}
"""Few rules, so that a test knows what follows from what."""


def ago(**span: float) -> datetime:
    """A moment before `NOW`."""
    return NOW - timedelta(**span)


def a_filed_report(note: str = "给女儿打生活费", **changes: Any) -> ReportFiled:  # noqa: ANN401
    """Return a report filed `NOW` about a payee, a payer and a person of its own."""
    report_id = changes.pop("report_id", None) or new_id()
    fields: dict[str, Any] = {
        "report_id": report_id,
        "bank": "ICBC",
        "branch": "ICBC-SZ-LH-001",
        "observed_at": NOW,
        "filed_at": NOW,
        "late": False,
        "amount_fen": 300_000,
        "channel": Channel.COUNTER_TRANSFER,
        "payee_token": f"payee-{report_id}",
        "payee_bank": "CCB",
        "payee_account_type": AccountType.PERSONAL,
        "payer_token": f"payer-{report_id}",
        "payer_person_token": f"person-{report_id}",
        "payer_age": 40,
        "cues": (),
        "flags": (),
        "identity": IDENTITY.seal("{}", str(report_id)),
        "narrative": NARRATIVE.seal(json.dumps({"note": note, "purpose": ""}), str(report_id)),
    }
    return ReportFiled(**{**fields, **changes})


def an_outcome(payee: str, finding: Finding = Finding.CONFIRMED, **changes: Any) -> OutcomeDecided:  # noqa: ANN401
    """Return what the police found about a payee, decided `NOW`."""
    fields: dict[str, Any] = {
        "outcome_id": new_id(),
        "case_id": new_id(),
        "finding": finding,
        "scam_type": "brushing_rebates",
        "payee_token": payee,
        "report_ids": (new_id(),),
        "decided_at": NOW,
    }
    return OutcomeDecided(**{**fields, **changes})


def a_disposition(
    report: ReportFiled, outcome: DispositionOutcome = DispositionOutcome.CANCELLED, at: datetime = NOW
) -> DispositionRecorded:
    """Return how a visit ended."""
    return DispositionRecorded(
        disposition_id=new_id(),
        report_id=report.report_id,
        payee_token=report.payee_token,
        outcome=outcome,
        amount_fen=report.amount_fen,
        recorded_at=at,
    )


def an_entry(token: str, kind: ConditionKind = ConditionKind.OVERRIDABLE_BLOCK, **changes: Any) -> Entry:  # noqa: ANN401
    """Return an analyst's entry of a list, in force since a day before `NOW` and for a day after it."""
    fields: dict[str, Any] = {
        "id": new_id(),
        "subject": Subject.PAYEE,
        "token": token,
        "kind": kind,
        "scam_type": None,
        "reason": "群众举报",
        "author": "analyst-1",
        "starts_at": ago(days=1),
        "expires_at": ago(days=-1),
    }
    return Entry(**{**fields, **changes})


def a_verdict(report: ReportFiled, level: Level = Level.CLEAR, version: int = 1) -> store.Judged:
    """Return a verdict on a report, as the judge would keep it."""
    event = VerdictReached(
        verdict_id=new_id(),
        version=version,
        level=level,
        score={Level.CLEAR: 0, Level.CAUTION: 40, Level.ALERT: 80}[level],
        scam_type=None if level is Level.CLEAR else "safe_account",
        findings=(),
        advice=Advice(ask=(), say=(), do=()),
        pack="test@1",
        judged_at=NOW,
        report=report,
    )
    return store.Judged(event, outgoing(event, event.verdict_id, traceparent=TRACE), 1, "hash", {})


async def see(pool: Pool, *reports: ReportFiled, level: Level = Level.CLEAR) -> set[UUID]:
    """Judge reports as the judge does, but with a level that is told; return the new ones."""
    async with pool.acquire() as connection, connection.transaction():
        await lock_payees(connection, [report.payee_token for report in reports], exclusive=False)
        fresh = await store.insert_sightings(connection, reports)
        new = [report for report in {one.report_id: one for one in reports}.values() if report.report_id in fresh]
        if new:
            await store.insert_verdicts(connection, [a_verdict(report, level) for report in new])
            await branch_store.count_branches(connection, new)
    return fresh


async def rejudge(pool: Pool, report: ReportFiled, level: Level, version: int = 2) -> None:
    """Give a report a later version of its verdict."""
    async with pool.acquire() as connection, connection.transaction():
        await store.insert_verdicts(connection, [a_verdict(report, level, version)])


async def find(pool: Pool, *outcomes: OutcomeDecided) -> None:
    """Let the police's findings arrive in one batch; a confirmed payee is blocked for a year."""
    async with pool.acquire() as connection, connection.transaction():
        await outcome_store.apply_outcomes(connection, outcomes, YEAR)


async def dispose(pool: Pool, *events: DispositionRecorded) -> None:
    """Let dispositions arrive in one batch."""
    async with pool.acquire() as connection, connection.transaction():
        await outcome_store.record_dispositions(connection, events)


async def all_known(
    pool: Pool, reports: Sequence[ReportFiled], as_of: datetime | None = None, *, at: datetime = NOW
) -> dict[UUID, dict[str, Value]]:
    """What would be known of the accounts and branches of several reports."""
    async with pool.acquire() as connection:
        return await past_store.pasts(connection, reports, as_of, at=at)


async def known(
    pool: Pool, report: ReportFiled, as_of: datetime | None = None, *, at: datetime = NOW
) -> dict[str, Value]:
    """What would be known of a report's payee, payer and branch."""
    return (await all_known(pool, [report], as_of, at=at))[report.report_id]


async def notable(pool: Pool, report: ReportFiled, as_of: datetime | None = None, *, about: str) -> dict[str, Value]:
    """Return what is known about the `payee`, the `payer` or the `branch` and differs from the default."""
    facts = await known(pool, report, as_of)
    return {
        name.removeprefix(f"{about}."): value
        for name, value in facts.items()
        if name.startswith(f"{about}.") and value != DEFAULTS[name]
    }


def a_court(now: datetime = NOW, narrative: Seal = NARRATIVE) -> Court:
    """Return what judging needs: the tests' own pack, as version 1."""
    return Court(InForce(Published(1, _compiled())), narrative, now)


@cache
def _compiled() -> CompiledPack:
    return compile_pack(PACK)


async def take(pool: Pool, reports: Sequence[ReportFiled], now: datetime = NOW) -> Taken:
    """Deliver a batch of reports to the judge itself; return all that follows."""
    return await handlers.judge_reports(pool, a_court(now), [(report, TRACE) for report in reports])


async def deliver(pool: Pool, reports: Sequence[ReportFiled]) -> tuple[list[VerdictReached], list[Outgoing]]:
    """Deliver a batch of reports; return the fresh verdicts and what is said."""
    taken = await take(pool, reports)
    return [judged.event for judged in taken.fresh], list(taken.rows)


async def judge(pool: Pool, *reports: ReportFiled) -> list[VerdictReached]:
    """Deliver a batch of new reports; return their verdicts in the same order."""
    verdicts, _ = await deliver(pool, reports)
    by_report = {verdict.report.report_id: verdict for verdict in verdicts}
    return [by_report[report.report_id] for report in reports]


async def apply(pool: Pool, *outcomes: OutcomeDecided, now: datetime = NOW) -> Taken:
    """Deliver a batch of outcomes to the judge itself; return all that follows."""
    return await handlers.apply_outcomes(pool, a_court(now), outcomes)


def rules_of(verdict: VerdictReached) -> dict[str, str]:
    """Why each rule spoke."""
    return {finding.rule: finding.why for finding in verdict.findings}


async def until_waiting(pool: Pool, number: int) -> None:
    """Return once so many wait for a lock in the database."""
    sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while await pool.fetchval(sql) < number:  # noqa: ASYNC110 - the server tells it to those who ask
            await asyncio.sleep(0.005)
