"""Tallies: what a service has of a window of time, in two or three numbers that another can compare. Pure.

A window holds what was minted in it: ids are UUIDv7, so a window is a range of the primary key, and it never changes
whose it is. The digest is free of order: the exclusive or of a hash of each id (with its version, where there is one).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from shared.events import Tallied, Tally

WIDTH: Final = timedelta(seconds=10)
"""What differs is repeated by the window, so a window is short: at 500 reports a second it holds 5,000."""

RECENT: Final = timedelta(hours=1)
GIVE_UP_AFTER: Final = 3
"""So many times in vain, and repeating does not help: the gap stays and is told, and nothing more is sent for it."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Count:
    """What is in one window, the `place`-th of its stretch. `rests`: nothing of it changed of late."""

    place: int
    number: int
    digest: int
    fen: int = 0
    rests: bool = True

    @property
    def content(self) -> tuple[int, int, int]:
        """What makes it equal to another; its place does not, since the next stretch begins later."""
        return self.number, self.digest, self.fen


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows as SQL takes them: window `places[n]` holds ids from `firsts[n]` to before `lasts[n]`."""

    places: list[int]
    firsts: list[UUID]
    lasts: list[UUID]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time, cut into windows from its beginning; the last one may be shorter."""

    begins: datetime
    ends: datetime
    width: timedelta = WIDTH

    def windows(self) -> Windows:
        """Return all windows."""
        number = -((self.begins - self.ends) // self.width)
        edges = [first_id(min(self.begins + place * self.width, self.ends)) for place in range(number + 1)]
        return Windows(list(range(number)), edges[:-1], edges[1:])

    def begin_of(self, place: int) -> datetime:
        """Return when a window begins."""
        return self.begins + place * self.width


def first_id(moment: datetime) -> UUID:
    """Return what no UUIDv7 minted at a moment or later is below: its first 48 bits are milliseconds."""
    return UUID(int=((moment - EPOCH) // timedelta(milliseconds=1)) << 80)


def stretches(before: datetime, number: int, hours: int, turns: int) -> Iterator[Stretch]:
    """Yield what round `number` looks at: the last hour until `before`, and every `turns`-th of the hours before it.

    So each of the last `hours` hours is looked at once in `turns` rounds.
    """
    begins = EPOCH + (before - RECENT - EPOCH) // WIDTH * WIDTH
    yield Stretch(begins, before)
    newest = (begins - EPOCH) // RECENT
    for hour in range(newest - hours + 1, newest + 1):
        start = EPOCH + hour * RECENT
        if hour % turns == number % turns and start < begins:
            yield Stretch(start, min(start + RECENT, begins))


def tally(what: Tallied, stretch: Stretch, counts: Sequence[Count]) -> Tally:
    """Write down what a stretch holds; empty windows are left out."""
    full = [one for one in counts if one.number]
    return Tally(
        what=what,
        begins=stretch.begins,
        ends=stretch.ends,
        width_seconds=int(stretch.width.total_seconds()),
        places=tuple(one.place for one in full),
        numbers=tuple(one.number for one in full),
        digests=tuple(one.digest for one in full),
        fen=tuple(one.fen for one in full),
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """A window of which two services have different things. `tries` says how often it was repeated in vain."""

    what: Tallied
    begins: datetime
    first: UUID
    last: UUID
    mine: Count
    theirs: Count
    tries: int = 0

    @property
    def missing(self) -> int:
        """How many things differ, at least."""
        return max(1, abs(self.mine.number - self.theirs.number))

    def is_between(self, mine: Count, theirs: Count) -> bool:
        """Whether nothing has changed in the window."""
        return (self.mine.content, self.theirs.content) == (mine.content, theirs.content)

    @property
    def given_up(self) -> bool:
        """Whether repeating has not helped."""
        return self.tries >= GIVE_UP_AFTER


@dataclass(slots=True)
class Gaps:
    """What differs from what one other service has, as far as the last look at each window tells."""

    open: dict[tuple[Tallied, datetime], Gap] = field(default_factory=dict)

    def compare(self, theirs: Tally, mine: Sequence[Count]) -> list[Gap]:
        """Take in a tally beside our own counts of the same windows; return the gaps in it, oldest first."""
        stretch = Stretch(theirs.begins, theirs.ends, timedelta(seconds=theirs.width_seconds))
        windows = stretch.windows()
        ours = {one.place: one for one in mine}
        found = []
        for place, said in _counts(theirs, len(windows.places)).items():
            own, key = ours.get(place, Count(place, 0, 0)), (theirs.what, stretch.begin_of(place))
            if own.content == said.content:
                self.open.pop(key, None)
            elif own.rests:
                before = self.open.get(key)
                tries = before.tries if before is not None and before.is_between(own, said) else 0
                gap = Gap(theirs.what, key[1], windows.firsts[place], windows.lasts[place], own, said, tries)
                self.open[key] = gap
                found.append(gap)
        return found

    def tried(self, gaps: Sequence[Gap]) -> list[Gap]:
        """Note that these were repeated; return those that are given up with it."""
        after = [_tried(gap) for gap in gaps]
        self.open |= {(gap.what, gap.begins): gap for gap in after}
        return [gap for gap in after if gap.given_up]

    def missing(self) -> Mapping[Tallied, int]:
        """Return how many things differ, by kind."""
        found = dict.fromkeys(Tallied, 0)
        for gap in self.open.values():
            found[gap.what] += gap.missing
        return found

    def forget_before(self, moment: datetime) -> None:
        """Forget the windows that nobody looks at any more."""
        self.open = {key: gap for key, gap in self.open.items() if gap.begins >= moment}


def _tried(gap: Gap) -> Gap:
    return Gap(gap.what, gap.begins, gap.first, gap.last, gap.mine, gap.theirs, gap.tries + 1)


def _counts(said: Tally, windows: int) -> dict[int, Count]:
    """Return all windows of a tally, those that were left out as empty."""
    counts = {place: Count(place, 0, 0) for place in range(windows)}
    for place, number, digest, fen in zip(said.places, said.numbers, said.digests, said.fen, strict=True):
        if 0 <= place < windows:
            counts[place] = Count(place, number, digest, fen)
    return counts
