"""What the police's door shows of the work on a case: what is due, what belongs to it, who objects."""

import json
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from services.notifier.cases.casework_requests import Decision
from services.notifier.cases.inbox_store import WorkRows
from services.notifier.clock.clock import Stage, Urgency
from shared.postgres import Row
from shared.privacy import Seal


class DueView(BaseModel):
    """What must have happened, or happens, by when. `step` counts escalations; of a warning it is the hours left."""

    stage: Stage
    due_at: datetime
    step: int
    subject: UUID | None


class LinkView(BaseModel):
    """Another case that has to do with this one. Who may see it finds it under its id."""

    case_id: UUID
    reason: str
    by: str
    at: datetime


class NoteView(BaseModel):
    """What an officer wrote down, as written."""

    id: UUID
    text: str
    by: str
    at: datetime


class AttachmentView(BaseModel):
    """What lies elsewhere and belongs to the case."""

    reference: str
    title: str
    sha256: str | None
    by: str
    at: datetime


class ObjectionView(BaseModel):
    """An account holder's objection: who objects and why, as written, and the police's answer."""

    id: UUID
    raised_by: str
    text: str
    recorded_by: str
    raised_at: datetime
    answer_by: datetime
    decision: Decision | None
    answer: str | None
    answered_by: str | None
    answered_at: datetime | None


class CaseWork(BaseModel):
    """What is known of a case beyond its reports and orders."""

    in_charge: str
    responsible: str | None
    urgency: Urgency
    split_from: UUID | None
    splits: list[UUID]
    deadlines: list[DueView]
    links: list[LinkView]
    notes: list[NoteView]
    attachments: list[AttachmentView]
    objections: list[ObjectionView]


def case_work(row: Row, rows: WorkRows, identity: Seal) -> CaseWork:
    """Build the view of the work on a case. Raises `SealBrokenError`."""
    return CaseWork(
        in_charge=row["in_charge"],
        responsible=row["responsible"],
        urgency=row["urgency"],
        split_from=row["split_from"],
        splits=[one["id"] for one in rows.splits],
        deadlines=[DueView(**dict(one)) for one in rows.deadlines],
        links=[_link(one, identity) for one in rows.links],
        notes=[_note(one, identity) for one in rows.notes],
        attachments=[_attachment(one, identity) for one in rows.attachments],
        objections=[_objection(one, identity) for one in rows.objections],
    )


def _link(row: Row, identity: Seal) -> LinkView:
    return LinkView(reason=identity.open(row["sealed"], str(row["about"])), **dict(row))


def _attachment(row: Row, identity: Seal) -> AttachmentView:
    return AttachmentView(**json.loads(identity.open(row["sealed"], str(row["id"]))), **dict(row))


def _note(row: Row, identity: Seal) -> NoteView:
    return NoteView(id=row["id"], text=identity.open(row["sealed"], str(row["id"])), by=row["by"], at=row["at"])


def _objection(row: Row, identity: Seal) -> ObjectionView:
    about = str(row["id"])
    said = json.loads(identity.open(row["sealed"], about))
    answer = identity.open(row["sealed_answer"], about) if row["sealed_answer"] else None
    return ObjectionView(raised_by=said["by"], text=said["text"], answer=answer, **dict(row))
