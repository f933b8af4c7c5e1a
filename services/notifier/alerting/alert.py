"""What a unit is told: who, where, how much, why, what to do next; masked. Pure."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from services.notifier.cases.case import Case, Placed
from shared.events import VerdictReached
from shared.privacy import Seal, mask_name, mask_number


def masks(verdict: VerdictReached, identity: Seal) -> dict[str, dict[str, str]]:
    """Open a report's identity and return what screens and alerts may show of it."""
    people = json.loads(identity.open(verdict.report.identity, str(verdict.report.report_id)))
    payer, payee = people["payer"], people["payee"]
    return {
        "payer": {
            "name": mask_name(payer["name"]),
            "account": mask_number(payer["account"]),
            "bank_code": verdict.report.bank,
        },
        "payee": {
            "name": mask_name(payee["name"]),
            "account": mask_number(payee["account"]),
            "bank_code": payee["bank_code"],
        },
    }


def facts(
    alert_id: UUID,
    case: Case,
    placed: Placed,
    unit: str,
    masked: Mapping[str, Any],
    traceparent: str,
) -> dict[str, Any]:
    """Return an alert as it is sent: thin, masked, with a link to the case and its report's trace. Amounts in fen."""
    verdict, report = placed.verdict, placed.verdict.report
    return {
        "alert_id": str(alert_id),
        "case_id": str(case.id),
        "report_id": str(report.report_id),
        "kind": "opened" if placed.opened else "joined",
        "version": verdict.version,
        "level": verdict.level.value,
        "score": verdict.score,
        "scam_type": verdict.scam_type,
        "unit": unit,
        "bank": report.bank,
        "branch": report.branch,
        "amount_fen": report.amount_fen,
        "payer": masked["payer"],
        "payee": masked["payee"],
        "why": [finding.why for finding in verdict.findings if finding.weight >= 0],  # a list entry weighs nothing
        "observed_at": report.observed_at.isoformat(),
        "filed_at": report.filed_at.isoformat(),
        "judged_at": verdict.judged_at.isoformat(),
        "acknowledge_by": case.acknowledge_by.isoformat(),
        "link": f"/v1/cases/{case.id}",
        "traceparent": traceparent or None,
    }


def case_facts(
    alert_id: UUID, case: Case, kind: str, unit: str, why: str, *, order_id: UUID | None = None
) -> dict[str, Any]:
    """Return what a unit is told of a case as a whole: `kind` says what happened, `why` in Chinese. Amounts in fen."""
    return {
        "alert_id": str(alert_id),
        "case_id": str(case.id),
        "report_id": None,
        "order_id": order_id and str(order_id),
        "kind": kind,
        "level": "alert",
        "scam_type": case.scam_type,
        "unit": unit,
        "bank": case.bank,
        "amount_fen": case.amount_fen,
        "payee": dict(case.payee_mask),
        "why": [why],
        "opened_at": case.opened_at.isoformat(),
        "acknowledge_by": case.acknowledge_by.isoformat(),
        "link": f"/v1/cases/{case.id}",
        "traceparent": case.traceparent or None,
    }
