"""A service's share in reconciling: what it says it has, what it compares with what others say, and what it shows."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.counting import Counting
from shared.events import Tallied
from shared.metrics import Question, Shelf, one_of
from shared.outbox import Outgoing
from shared.postgres import Connection
from shared.tally import Count, Gap, Windows

Mending = Callable[[Connection, Sequence[Gap]], Awaitable[list[Outgoing]]]
"""Puts the obligations of windows back into the outbox; returns those that were not in it."""


@dataclass(frozen=True, slots=True)
class Said:
    """One kind of thing that a service tallies. `slow`: it goes on changing for weeks."""

    what: Tallied
    count: Counting
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """One kind of thing that a service compares with what `speaker` has; without `mend` it can only tell."""

    speaker: str
    what: Tallied
    count: Counting
    mend: Mending | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A service's share in reconciling: what it says, and what it compares."""

    service: str
    said: Sequence[Said]
    compared: Sequence[Compared] = ()


async def nothing(_connection: Connection, _windows: Windows, _before: datetime) -> list[Count]:
    """Count none: what there must not be any of is compared with this."""
    return []


def between(share: Share, speaker: str) -> str:
    """Name two services of which one compares what the other says."""
    return f"{share.service}_{speaker}"


class ReconcilingMetrics:
    """What the reconciler shows of a service that compares anything."""

    def __init__(self, shelf: Shelf, share: Share) -> None:
        if not share.compared:
            return
        pairs = one_of(dict.fromkeys(between(share, one.speaker) for one in share.compared))
        things = one_of(dict.fromkeys(one.what for one in share.compared))
        self.gaps = shelf.gauge(
            "lanjie_reconciliation_gaps",
            "Things that another service lacks, or has too many of, for longer than is usual. Take the greatest of the "
            "replicas",
            "has anything been lost between two services? 0 is healthy",
            Question.STUCK,
            between=pairs,
            of=things,
        )
        self.repeated = shelf.counter(
            "lanjie_reconciliation_repeated_total",
            "Events put back because another service lacked what they say",
            "what is being lost?",
            Question.STUCK,
            between=pairs,
            of=things,
        )
        self.age = shelf.gauge(
            "lanjie_reconciliation_last_success_seconds",
            "How long ago this replica compared. Take the least of the replicas",
            "does the reconciler work?",
            Question.STUCK,
            between=pairs,
        )
