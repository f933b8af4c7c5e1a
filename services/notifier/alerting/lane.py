"""A lane: what a courier has taken for one target; and what the end of a call means for delivery and target. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, assert_never
from uuid import UUID

from services.notifier.alerting.channels.limits import AHEAD, Limits
from services.notifier.alerting.channels.outcome import Cause, Dead, Delivered, Outcome, Retry
from services.notifier.alerting.delivery_store import Due, Health, Settlement

LOW: Final = 8
"""A lane with no more deliveries than this in store takes more."""
LANES: Final = 200
"""With so many lanes a courier begins no further ones, except beside such as want more."""
GIVE_UP_AFTER: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how patient a courier is, in seconds. `first_rest` and `longest_rest` are of targets that fail."""

    look_every: float = 0.5
    first_wait: float = 1.0
    longest_wait: float = 300.0
    first_rest: float = 10.0
    longest_rest: float = 300.0


def wait_after(attempts: int, pace: Pace) -> float:
    """Seconds to the next try: twice as long each time, up to the longest wait."""
    return float(min(pace.first_wait * 2 ** min(attempts - 1, 20), pace.longest_wait))


PACE: Final = Pace()


@dataclass(slots=True)
class Lane:
    """What a courier has taken for one target and not yet sent. `failing` lanes send nothing until that is settled."""

    limits: Limits
    store: deque[Due] = field(default_factory=deque)
    in_flight: int = 0
    failing: bool = False

    def next(self) -> tuple[Due, ...]:
        """Take out what goes into the next call: all there is as one message, or one."""
        if self.failing or self.in_flight >= self.limits.at_once or not self.store:
            return ()
        return tuple(self.store.popleft() for _ in range(min(self.limits.together, len(self.store))))

    @property
    def room(self) -> int:
        """How many more to take: none while one call carries all."""
        wants = self.limits.together == 1 and len(self.store) <= LOW and not self.failing
        return AHEAD - len(self.store) if wants else 0


def most_targets(rooms: Mapping[UUID, int]) -> int:
    """Return of how many targets to take next; `rooms` says how many more each lane wants.

    Lanes that want nothing must not keep those that do from taking more.
    """
    return max(0, LANES - len(rooms)) + sum(room > 0 for room in rooms.values())


@dataclass(frozen=True, slots=True)
class Tried:
    """One call that has ended, and the deliveries it carried."""

    carried: tuple[Due, ...]
    outcome: Outcome
    at: datetime


def settlement(due: Due, tried: Tried, pace: Pace) -> Settlement:
    """Decide what becomes of a delivery."""
    outcome = tried.outcome
    if isinstance(outcome, Retry) and tried.at - due.created_at > GIVE_UP_AFTER:
        outcome = Dead(f"gave up after {GIVE_UP_AFTER}: {outcome.reason}", Cause.AGE)
    match outcome:
        case Delivered():
            return Settlement(due.id, "delivered")
        case Retry(reason, _, after):
            return Settlement(due.id, "pending", reason, max(after or 0, wait_after(due.attempts, pace)))
        case Dead(reason):
            return Settlement(due.id, "dead", reason)
        case _:
            assert_never(outcome)


def health(tried: Sequence[Tried]) -> list[Health]:
    """Say how each target fared over some calls, in their order. A receiver that refuses for good does work."""
    by_target: dict[UUID, Health] = {}
    for one in tried:
        target_id = one.carried[0].target_id
        was = by_target.get(target_id, Health(target_id, worked=False, failed=0, probe=False))
        probe = was.probe or one.carried[0].probe
        match one.outcome:
            case Delivered() | Dead():
                now = Health(target_id, worked=True, failed=0, probe=probe, pause_seconds=was.pause_seconds)
            case Retry(_, _, float() as after):
                now = Health(target_id, was.worked, was.failed, probe, max(was.pause_seconds, after))
            case Retry():
                now = Health(target_id, was.worked, was.failed + 1, probe, was.pause_seconds)
            case _:
                assert_never(one.outcome)
        by_target[target_id] = now
    return list(by_target.values())
