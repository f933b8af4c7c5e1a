"""Reports and outcomes as rules hears them, and short ways to judge and to look."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.rules import handlers, store
from services.rules.features import Branch, Payee, Payer
from shared.events import AccountType, Channel, Finding, OutcomeDecided, ReportFiled, VerdictReached
from shared.outbox import Outgoing, new_id
from shared.postgres import Pool
from tests.parts import IDENTITY, NARRATIVE

NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SCAM = "客户说要把钱转到安全账户，涉嫌洗钱"
"""A note that makes an alert."""

HINT = "群里叫做任务"
"""A note that makes a caution."""


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


async def deliver(pool: Pool, reports: Sequence[ReportFiled]) -> tuple[list[VerdictReached], list[Outgoing]]:
    """Deliver a batch of reports; return the fresh verdicts and what is said."""
    return await handlers.judge_reports(pool, NARRATIVE, [(report, TRACE) for report in reports], NOW)


async def judge(pool: Pool, *reports: ReportFiled) -> list[VerdictReached]:
    """Deliver a batch of new reports; return their verdicts in the same order."""
    verdicts, _ = await deliver(pool, reports)
    by_report = {verdict.report.report_id: verdict for verdict in verdicts}
    return [by_report[report.report_id] for report in reports]


async def apply(pool: Pool, *outcomes: OutcomeDecided) -> list[Outgoing]:
    """Deliver a batch of outcomes; return what is said."""
    return await handlers.apply_outcomes(pool, outcomes, NOW)


async def payee_of(pool: Pool, report: ReportFiled) -> Payee:
    """What would be known of a report's payee."""
    return (await _known(pool, report))[0]


async def payer_of(pool: Pool, report: ReportFiled) -> Payer:
    """What would be known of a report's payer."""
    return (await _known(pool, report))[1]


async def tempo_of(pool: Pool, report: ReportFiled) -> Branch:
    """What would be known of a report's branch."""
    async with pool.acquire() as connection:
        known = await store.branches(connection, [report])
    return known.get(report.report_id, Branch())


async def _known(pool: Pool, report: ReportFiled) -> tuple[Payee, Payer]:
    async with pool.acquire() as connection:
        known: dict[UUID, tuple[Payee, Payer]] = await store.pasts(connection, [report])
    return known[report.report_id]


def rules_of(verdict: VerdictReached) -> dict[str, str]:
    """Why each rule spoke."""
    return {finding.rule: finding.why for finding in verdict.findings}
