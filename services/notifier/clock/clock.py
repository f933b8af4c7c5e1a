"""The clock: how long each stage of a case may take, and what follows when it takes longer. Pure.

Money layered through further accounts is usually gone within the hour, so the machine's part is counted
in seconds and the people's in minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Final
from uuid import UUID


class Stage(StrEnum):
    """What is waited for. `subject` of a deadline is the order's id from APPROVE on; for OBJECTION the objection's."""

    ACKNOWLEDGE = "acknowledge"
    ORDER = "order"
    APPROVE = "approve"
    FEEDBACK = "feedback"
    RELEASE = "release"
    OBJECTION = "objection"
    WARNING = "warning"
    EXPIRY = "expiry"


class Urgency(StrEnum):
    """How urgent a case is, as the national platform numbers it."""

    NORMAL = "01"
    URGENT = "02"


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time by which something must have happened, or (WARNING, EXPIRY) at which something happens.

    `step` counts escalations from 0; for a WARNING it is the hours left.
    """

    case_id: UUID
    stage: Stage
    due_at: datetime
    subject: UUID | None = None
    step: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline whose time has come. What follows from it names `id` as its cause.

    `since` is when it came: a deadline that was started late could not be kept before that.
    """

    id: UUID
    what: Deadline
    since: datetime


DEFAULTS: Final[Mapping[tuple[Urgency, Stage], timedelta]] = {
    (Urgency.URGENT, Stage.ACKNOWLEDGE): timedelta(seconds=60),
    (Urgency.URGENT, Stage.ORDER): timedelta(minutes=5),
    (Urgency.URGENT, Stage.APPROVE): timedelta(minutes=5),
    (Urgency.URGENT, Stage.FEEDBACK): timedelta(minutes=5),
    (Urgency.URGENT, Stage.RELEASE): timedelta(minutes=30),
    (Urgency.URGENT, Stage.OBJECTION): timedelta(days=3),
    (Urgency.NORMAL, Stage.ACKNOWLEDGE): timedelta(minutes=5),
    (Urgency.NORMAL, Stage.ORDER): timedelta(minutes=30),
    (Urgency.NORMAL, Stage.APPROVE): timedelta(minutes=30),
    (Urgency.NORMAL, Stage.FEEDBACK): timedelta(minutes=30),
    (Urgency.NORMAL, Stage.RELEASE): timedelta(minutes=30),
    (Urgency.NORMAL, Stage.OBJECTION): timedelta(days=3),
}
"""The longest each stage should take where no rule says otherwise. The law sets the other stages, not we."""

LONGEST_SECONDS: Final = 30 * 24 * 3600
"""A rule that allows a stage more than 30 days is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The rules for how long stages may take: by unit, or the nearest unit above that has one."""

    rules: Mapping[tuple[str, Urgency, Stage], timedelta] = field(default_factory=dict)
    parents: Mapping[str, str | None] = field(default_factory=dict)
    defaults: Mapping[tuple[Urgency, Stage], timedelta] = field(default_factory=lambda: DEFAULTS)

    def span(self, unit: str, urgency: Urgency, stage: Stage) -> timedelta:
        """Return how long a stage may take in a unit's case."""
        at: str | None = unit
        while at is not None:
            if (at, urgency, stage) in self.rules:
                return self.rules[at, urgency, stage]
            at = self.parents.get(at)
        return self.defaults[urgency, stage]


LONGEST_WAIT: Final = timedelta(hours=1)


def wait_after(span: timedelta, repetitions: int) -> timedelta:
    """Return how long to wait for those who were told: a span, doubled at each repetition, up to an hour.

    Who may take longer than an hour anyway is told again after each span.
    """
    times: int = 2 ** min(repetitions, 12)
    return max(span, min(span * times, LONGEST_WAIT))


WARN_BEFORE: Final = (timedelta(hours=24), timedelta(hours=6), timedelta(hours=1))
"""How long before a hold runs out the officers are warned."""

BEIJING: Final = timezone(timedelta(hours=8))
"""The time that officers read."""

STOP_LASTS: Final = timedelta(hours=48)
"""A stop payment lasts 48 hours from the moment the bank stopped (银发〔2016〕86号)."""
