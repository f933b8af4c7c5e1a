"""What the police's door answers: masked, unless an officer asks with a reason."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from services.notifier import alert
from services.notifier.order import EndedWhy, Order, Standing
from services.notifier.order_store import order_of
from shared.events import CaseStatus, Checked, Failure, Finding, OrderKind, VerdictReached
from shared.postgres import Row
from shared.privacy import Seal


class CaseLine(BaseModel):
    """A case in the inbox. Amounts in fen."""

    id: UUID
    version: int
    status: CaseStatus
    payee: dict[str, str]
    scam_type: str | None
    unit: str
    bank: str
    amount_fen: int
    reports: int
    opened_at: datetime
    acknowledge_by: datetime
    acknowledged_at: datetime | None
    closed_at: datetime | None
    finding: Finding | None
    changed_at: datetime


class OrderView(BaseModel):
    """An order as the police see it. Amounts in fen."""

    id: UUID
    case_id: UUID
    kind: OrderKind
    status: Standing
    version: int
    bank: str
    amount_fen: int
    account_level: int
    application_type: str
    original_application_id: UUID | None
    emergency_level: str
    acts_on: UUID | None
    corrects: UUID | None
    term_months: int | None
    scope: str | None
    includes_proceeds: bool | None
    notice_number: str | None
    approval_level: int | None
    approved_at: datetime | None
    ordered_at: datetime
    bank_stopped_at: datetime | None
    answered_at: datetime | None
    balance_before_fen: int | None
    stopped_fen: int | None
    frozen_fen: int | None
    returned_fen: int | None
    failure: Failure | None
    mismatch: list[Checked]
    executed_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None
    ended_why: EndedWhy | None


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


class CaseView(BaseModel):
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
    orders: list[OrderView]
    timeline: list[TimelineEntry]


def line_of(row: Row) -> CaseLine:
    """Build an inbox line."""
    return CaseLine(payee=json.loads(row["payee_mask"]), **dict(row))


def order_view(order: Order) -> OrderView:
    """Build the police's view of an order."""
    return OrderView(**{name: getattr(order, name) for name in OrderView.model_fields})


def case_view(row: Row, parts: tuple[list[Row], list[Row], list[Row]], identity: Seal, narrative: Seal) -> CaseView:
    """Build one case's view."""
    reports, orders, timeline = parts
    return CaseView(
        payee=json.loads(row["payee_mask"]),
        reports=[_report_view(report, identity, narrative) for report in reports],
        orders=[order_view(order_of(order)) for order in orders],
        timeline=[TimelineEntry(**dict(entry)) for entry in timeline],
        **dict(row),
    )


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
