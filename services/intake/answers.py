"""What the banks' door answers about a report."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from shared.events import Advice, CaseStatus, DispositionOutcome, Finding, Level, RuleFinding
from shared.openapi import Problem
from shared.postgres import Row


class ReportReceipt(BaseModel):
    """The report is on disk; nothing that happens from here on loses it."""

    id: UUID
    status: Literal["received"] = "received"


class BatchAnswer(BaseModel):
    """One line of a batch's answer: `code` is what a single post of that line would have got."""

    line: int
    idempotency_key: str | None = None
    code: int
    id: UUID | None = None
    status: Literal["received"] | None = None
    problem: Problem | None = None


class CaseState(BaseModel):
    """Where the police stand with the case the report is in."""

    id: UUID
    status: CaseStatus
    opened_at: datetime
    acknowledged_at: datetime | None
    closed_at: datetime | None
    finding: Finding | None


class DispositionState(BaseModel):
    """How the teller said the visit ended."""

    outcome: DispositionOutcome
    amount_fen: int


class Judgement(BaseModel):
    """The part of a verdict that its bank sees; all of it is absent before the verdict.

    `version` is above 1 where the report was judged again because of a later fact.
    """

    version: int | None = None
    level: Level | None = None
    score: int | None = None
    scam_type: str | None = None
    findings: tuple[RuleFinding, ...] = ()
    advice: Advice | None = None
    judged_at: datetime | None = None


class ReportStatus(Judgement):
    """A report as its bank sees it. Once its details are no longer kept, findings and advice are left out."""

    id: UUID
    bank_reference: str
    status: Literal["received", "judged"]
    filed_at: datetime
    case: CaseState | None = None
    disposition: DispositionState | None = None
    details: Literal["kept", "no longer kept"] = "kept"


def status_of(row: Row) -> ReportStatus:
    """Build the answer from the stored row."""
    judgement = Judgement.model_validate_json(row["verdict"] or "{}")
    case = None
    if row["case_id"]:
        case = CaseState(
            id=row["case_id"],
            status=row["case_status"],
            opened_at=row["opened_at"],
            acknowledged_at=row["acknowledged_at"],
            closed_at=row["closed_at"],
            finding=row["finding"],
        )
    disposition = None
    if row["outcome"]:
        disposition = DispositionState(outcome=row["outcome"], amount_fen=row["disposition_amount_fen"])
    return ReportStatus(
        id=row["id"],
        bank_reference=row["bank_reference"],
        status="judged" if judgement.level else "received",
        filed_at=row["filed_at"],
        case=case,
        disposition=disposition,
        details="no longer kept" if row["emptied"] else "kept",
        **dict(judgement),
    )
