"""In whose hands a case is: taken over, transferred, split, reopened. Pure.

Nothing changes hands in a closed case: what was decided in it stays with those who decided, until it is reopened.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.notifier.cases import case
from services.notifier.cases.case import Case
from services.notifier.orders.law import Rule, broken
from shared.errors import FieldProblem, Refusal, invalid
from shared.events import CaseStatus


@dataclass(frozen=True, slots=True)
class Part:
    """A report of a case, as far as splitting goes: whose it is, and its amount in fen."""

    report_id: UUID
    bank: str
    unit: str
    amount_fen: int


def refuse_closed(before: Case) -> None:
    """Raise where the case is closed."""
    if before.status is CaseStatus.CLOSED:
        raise broken(Rule.CLOSED)


def taken_over(before: Case, officer_id: UUID, now: datetime) -> Case | None:
    """Make an officer responsible; nobody has to have acknowledged before. Return nothing where that is so already."""
    refuse_closed(before)
    if taken_on := case.acknowledge(before, officer_id, now):
        return taken_on
    if before.responsible == officer_id:
        return None
    return replace(before, version=before.version + 1, responsible=officer_id)


def transferred(before: Case, unit: str, acknowledge_by: datetime, now: datetime) -> Case:
    """Put another unit in charge: the case is open again until it acknowledges, and who was responsible stays so."""
    refuse_closed(before)
    if unit == before.in_charge:
        raise invalid(FieldProblem(field="unit", message="is in charge of this case already"))
    return replace(
        before,
        version=before.version + 1,
        status=CaseStatus.OPEN,
        in_charge=unit,
        acknowledge_by=acknowledge_by,
        acknowledged_at=None,
        acknowledged_by=None,
        transferred_at=now,
    )


def split(
    before: Case, parts: Sequence[Part], taken: Collection[UUID], officer_id: UUID, new_case_id: UUID, now: datetime
) -> tuple[Case, Case]:
    """Take reports out into a case of their own; return the two. `parts` are all reports of the case, oldest first.

    The new case names the head of the family, however often the family was split. Raises where a report is not in
    the case, or none would stay.
    """
    refuse_closed(before)
    going = [part for part in parts if part.report_id in taken]
    if len(going) < len(taken):
        raise _not_these("names a report that is not in this case")
    if len(going) == len(parts):
        raise _not_these("leaves no report in the case; one has to stay")
    amount_fen = sum(part.amount_fen for part in going)
    new = replace(
        before,
        id=new_case_id,
        version=1,
        unit=going[0].unit,
        bank=going[0].bank,
        status=CaseStatus.ACKNOWLEDGED,
        amount_fen=amount_fen,
        opened_at=now,
        acknowledge_by=now,
        acknowledged_at=now,
        acknowledged_by=officer_id,
        responsible=officer_id,
        split_from=before.family,
        transferred_at=None,
    )
    return replace(before, version=before.version + 1, amount_fen=before.amount_fen - amount_fen), new


def another_is_open(other: UUID | None) -> Refusal:
    """Refuse to reopen a case: reports to come would not know which of two to join."""
    return broken(Rule.ONE_OPEN, existing_id=str(other) if other else None)


def _not_these(why: str) -> Refusal:
    return invalid(FieldProblem(field="report_ids", message=why))


def reopened(before: Case, officer_id: UUID, now: datetime) -> Case | None:
    """Take the finding back; who reopens is responsible. Return nothing where the case is not closed."""
    if before.status is not CaseStatus.CLOSED:
        return None
    return replace(
        before,
        version=before.version + 1,
        status=CaseStatus.ACKNOWLEDGED,
        acknowledged_at=before.acknowledged_at or now,
        acknowledged_by=before.acknowledged_by or officer_id,
        responsible=officer_id,
        closed_at=None,
        finding=None,
        sealed_reason=None,
        outcome_id=None,
    )
