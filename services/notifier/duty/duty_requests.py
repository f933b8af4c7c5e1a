"""What officers send about duty and are shown of it."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from services.notifier.cases.requests import Reason, Strict, Text


class HandOver(Strict):
    """The officer (by name) who takes over the caller's running shift, and what there is to know."""

    to: Reason
    note: Text = ""


class ShiftView(BaseModel):
    """A shift that runs. `since` and `until` are when this officer came and goes."""

    officer: str
    since: datetime
    until: datetime


class HandedOver(BaseModel):
    """A shift that changed hands: `shift_id` is the new one's."""

    shift_id: UUID
    unit: str
    handed_over_by: str
    on_duty: ShiftView


class GapView(BaseModel):
    """A time in which nobody is on duty."""

    since: datetime
    until: datetime


class UnitDuty(BaseModel):
    """A unit's duty: who is on now, when somebody next comes or goes, the gaps of the next seven days."""

    unit: str
    name: str
    on_duty: list[ShiftView]
    next_change: datetime | None
    gaps: list[GapView]


class DutyView(BaseModel):
    """The duty of a subtree's units that have officers or shifts, in the order of the tree."""

    units: list[UnitDuty]
