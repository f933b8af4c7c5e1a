"""The law on one account of two cases in plain sentences: what the tests hold the product's own law against.

It shares no code with it: times are reckoned anew, and what holds is found by going through the papers.
"""

import calendar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

STOPS = ("stop", "extend_stop")
FREEZES = ("freeze", "extend_freeze")
FREES = ("release_stop", "unfreeze")


@dataclass
class Paper:
    """What the model remembers of an order. `until` is when its hold must be over; `over` that something ended it."""

    kind: str
    case: int
    fen: int
    state: str = "waits"
    until: datetime | None = None
    over: bool = False
    mismatch: bool = False
    corrects: bool = False
    turned_down: bool = False
    frozen: int = 0
    returned: int = 0
    of: "Paper | None" = None

    def live(self, now: datetime) -> bool:
        return self.state == "done" and not self.over and self.until is not None and now < self.until


def after_months(at: datetime, months: int) -> datetime:
    year, month = at.year + (at.month - 1 + months) // 12, (at.month - 1 + months) % 12 + 1
    return at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))


@dataclass
class Model:
    """All papers by the id of their order, the findings of the two cases, and the time."""

    now: datetime
    papers: dict[UUID, Paper] = field(default_factory=dict)
    finding: list[str | None] = field(default_factory=lambda: [None, None])

    def held(self, case: int | None = None) -> str:
        live = [one for one in self.papers.values() if one.live(self.now) and case in (None, one.case)]
        return "frozen" if any(one.kind in FREEZES for one in live) else "stopped" if live else "free"

    def left(self, case: int, but: Paper | None = None) -> int:
        """What may still be returned: every order of the freeze bounds what was returned since."""
        paper = next((one for one in reversed(self.papers.values()) if self._freezes(one, case)), None)
        gone, bounds = 0, []
        while paper is not None:
            given = [one for one in self.papers.values() if one.of is paper and one is not but]
            given = [one for one in given if one.kind == "return_funds" and one.state != "fell"]
            gone += sum(one.fen if one.state == "waits" else one.returned for one in given)
            bounds.append(paper.frozen - gone)
            paper = paper.of if paper.of is not None and paper.of.kind in FREEZES else None
        return max(0, min(bounds, default=0))

    def _freezes(self, paper: Paper, case: int) -> bool:
        return paper.kind in FREEZES and paper.case == case and paper.live(self.now)

    def lawful(self, kind: str, case: int, fen: int, *, but: Paper | None = None, corrected: bool = False) -> bool:
        """Whether the law allows the order, in plain sentences; `but` is the proposal that is looked at again."""
        others = [one for one in self.papers.values() if one is not but]
        waiting = [one for one in others if one.state == "waits"]
        mine = [one for one in waiting if one.case == case]
        if any(one.kind == kind for one in (mine if kind in FREES else waiting)):
            return False
        if kind in FREES:
            return self.held(case) == {"release_stop": "stopped", "unfreeze": "frozen"}[kind]
        if any(one.kind in FREES for one in mine):
            return False
        before = [one for one in others if one.kind == kind and one.case == case and not one.turned_down]
        failed = bool(before) and before[-1].state == "fell"
        if failed and (before[-1].mismatch or before[-1].corrects) and not corrected:
            return False
        finding, closed = self.finding[case], self.finding[case] is not None
        used = sum(1 for one in others if one.kind in STOPS and one.state != "fell")
        return {
            "stop": not closed and self.held() != "frozen" and used < 2,
            "extend_stop": not closed and self.held(case) == "stopped" and used < 2,
            "freeze": finding != "unfounded" and self.held(case) == "stopped" and self.held() != "frozen",
            "extend_freeze": finding != "unfounded" and self.held(case) == "frozen",
            "return_funds": finding == "confirmed" and self.held(case) == "frozen" and fen <= self.left(case, but),
        }[kind]

    def does(self, paper: Paper, months: int | None, fen: int) -> None:
        """The bank did it: what it takes over or frees is over, and what it holds ends with the law's term."""
        ends = {"stop": (), "return_funds": (), "extend_freeze": STOPS + FREEZES, "unfreeze": STOPS + FREEZES}
        for one in self.papers.values():
            if one.case == paper.case and one.live(self.now) and one.kind in ends.get(paper.kind, STOPS):
                one.over = True
        paper.state, paper.frozen, paper.returned = "done", fen, fen
        if paper.kind in STOPS:
            paper.until = self.now + timedelta(hours=48)
        elif paper.kind in FREEZES:
            paper.until = after_months(self.now, months or 6)
