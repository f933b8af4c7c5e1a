"""What the police's door answers: masked, unless an officer asks with a reason."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from services.notifier.alerting import alert
from services.notifier.cases.casework_views import CaseWork
from services.notifier.clock.clock import Stage, Urgency
from services.notifier.orders.order_views import OrderView, order_view
from services.notifier.orders.tracing import AccountNode, Traced, accounts
from shared.events import CaseStatus, Finding, VerdictReached
from shared.postgres import Row
from shared.privacy import Seal


class NextDue(BaseModel):
    """The deadline of a case that runs out first."""

    stage: Stage
    due_at: datetime


class CaseLine(BaseModel):
    """A case in the inbox. Amounts in fen. `unit` opened it, `in_charge` is at work on it."""

    id: UUID
    version: int
    status: CaseStatus
    payee: dict[str, str]
    scam_type: str | None
    unit: str
    in_charge: str
    responsible: str | None
    urgency: Urgency
    bank: str
    amount_fen: int
    reports: int
    opened_at: datetime
    acknowledge_by: datetime
    acknowledged_at: datetime | None
    closed_at: datetime | None
    finding: Finding | None
    changed_at: datetime
    next_due: NextDue | None
    traceparent: str | None = None


class ReportView(BaseModel):
    """A report in a case, masked, by its newest verdict; `version` is above 1 where it was judged again. In fen."""

    id: UUID
    bank: str
    branch: str
    unit: str
    amount_fen: int
    filed_at: datetime
    observed_at: datetime
    version: int
    judged_at: datetime
    score: int
    scam_type: str | None
    payer: dict[str, str]
    payee: dict[str, str]
    findings: list[dict[str, Any]]
    note: str
    purpose: str
    disposition: dict[str, Any] | None


class TimelineEntry(BaseModel):
    """One line of a case's timeline."""

    at: datetime
    kind: str
    actor: str
    text: str


class CaseView(CaseWork):
    """One case with everything that happened in it."""

    id: UUID
    version: int
    status: CaseStatus
    payee: dict[str, str]
    scam_type: str | None
    unit: str
    bank: str
    amount_fen: int
    opened_at: datetime
    acknowledge_by: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    closed_at: datetime | None
    finding: Finding | None
    reason: str | None
    changed_at: datetime
    reports: list[ReportView]
    first_transfer_at: datetime
    accounts: list[AccountNode]
    orders: list[OrderView]
    timeline: list[TimelineEntry]
    traceparent: str | None = None


def line_of(row: Row) -> CaseLine:
    """Build an inbox line."""
    due = NextDue(stage=row["next_stage"], due_at=row["next_due_at"]) if row["next_stage"] else None
    return CaseLine(payee=json.loads(row["payee_mask"]), next_due=due, **dict(row))


def case_view(
    row: Row,
    parts: tuple[list[Row], list[Row], list[Row]],
    traced: Traced,
    work: CaseWork,
    identity: Seal,
    narrative: Seal,
    now: datetime,
) -> CaseView:
    """Build one case's view."""
    reports, orders, timeline = parts
    seen = [_report_view(report, identity, narrative) for report in reports]
    began_at = min((report.observed_at for report in seen), default=row["opened_at"])
    return CaseView(
        payee=json.loads(row["payee_mask"]),
        reports=seen,
        first_transfer_at=began_at,
        accounts=accounts(traced, began_at, identity, now),
        orders=[order_view(order, identity) for order in orders],
        timeline=[_entry(entry, identity) for entry in timeline],
        **{**dict(row), **dict(work), "reason": _reason(row, identity)},
    )


def _entry(row: Row, identity: Seal) -> TimelineEntry:
    words = identity.open(row["sealed"], str(row["id"])) if row["sealed"] else ""
    return TimelineEntry(at=row["at"], kind=row["kind"], actor=row["actor"], text=row["text"] + words)


def _reason(row: Row, identity: Seal) -> str | None:
    """Return why a case was closed; that of older cases was not sealed."""
    reason: str | None = row["reason"]
    return identity.open(row["sealed_reason"], str(row["id"])) if row["sealed_reason"] else reason


def _report_view(row: Row, identity: Seal, narrative: Seal) -> ReportView:
    verdict = VerdictReached.model_validate_json(row["verdict"])
    words = json.loads(narrative.open(verdict.report.narrative, str(verdict.report.report_id)))
    disposition = {"outcome": row["outcome"], "amount_fen": row["disposition_fen"]} if row["outcome"] else None
    return ReportView(
        id=row["id"],
        bank=row["bank"],
        branch=row["branch"],
        unit=row["unit"],
        amount_fen=row["amount_fen"],
        filed_at=row["filed_at"],
        observed_at=verdict.report.observed_at,
        version=verdict.version,
        judged_at=verdict.judged_at,
        score=row["score"],
        scam_type=verdict.scam_type,
        findings=[finding.model_dump() for finding in verdict.findings],
        note=words["note"],
        purpose=words["purpose"],
        disposition=disposition,
        **alert.masks(verdict, identity),
    )
