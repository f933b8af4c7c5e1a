"""One report's way as the three databases tell it, put in order of time. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from shared.money import yuan
from shared.postgres import Row

NOT_KEPT: Final = (
    "When an event reached the broker and a consumer, and when its answer came: its outbox row goes with the answer.",
    "When the teller saw the verdict: intake keeps the verdict, not when it came.",
    "When an alert was on an officer's screen: the stream keeps no record of its readers.",
)
"""Stages whose times no database has, in sentences."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened: when, by the clock of whose database or process, and what is known of it."""

    at: datetime
    service: str
    what: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Owed:
    """Something that is still to come: `since` when, and when it is tried again or is overdue, if that is known."""

    service: str
    what: str
    since: datetime | None
    due_at: datetime | None
    details: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter that concerns the report."""

    service: str
    id: str
    topic: str
    reason: str
    state: str
    parked_at: datetime


@dataclass(slots=True)
class Known:
    """What was found. A service whose part is `missing` has nothing here, with the reason there."""

    report_id: str
    filed: Row | None = None
    at_the_bank: Sequence[Row] = ()
    verdicts: Sequence[Row] = ()
    became: Sequence[Row] = ()
    counted: Row | None = None
    alerts: Sequence[Row] = ()
    pushes: Sequence[Row] = ()
    orders: Sequence[Row] = ()
    timeline: Sequence[Row] = ()
    booked: Sequence[Row] = ()
    deadlines: Sequence[Row] = ()
    owed: list[tuple[str, Row]] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def traceparent(self) -> str:
        """Return the trace, from whoever knows it."""
        rows = [self.filed, *self.verdicts, *(row for row in self.alerts if row["kind"] in ("opened", "joined"))]
        return next((str(row["traceparent"]) for row in rows if row and row["traceparent"]), "")


def steps(known: Known) -> list[Step]:
    """Return all that happened, in order of time; what has the same time, in the order of the chain."""
    parts = (_filing, _judging, _alerting, _casework, _ordering, _ending)
    found = [step for part in parts for step in part(known)]
    return sorted(found, key=lambda step: step.at)


def _filing(known: Known) -> Iterator[Step]:
    if known.filed:
        row = known.filed
        yield Step(row["filed_at"], "intake", "accepted", f"{row['bank']}, {yuan(row['amount_fen'])} yuan")
        if row["recorded_at"]:
            said = f"{row['outcome']}, {yuan(row['disposition_fen'])} yuan"
            yield Step(row["recorded_at"], "intake", "disposition recorded", said)
        return
    other = known.counted or next(iter(known.verdicts), None)
    if other:
        yield Step(other["filed_at"], "intake", "accepted", "as the others were told")


def _judging(known: Known) -> Iterator[Step]:
    for row in known.verdicts:
        pack = f", pack {row['pack_version']}" if row["pack_version"] else ""
        what = "judged" if row["version"] == 1 else "judged again"
        yield Step(row["judged_at"], "rules", what, f"version {row['version']}: {row['level']}, {row['score']}{pack}")


def _alerting(known: Known) -> Iterator[Step]:
    told = set()
    for row in known.alerts:
        if row["id"] not in told:
            told.add(row["id"])
            yield Step(row["created_at"], "notifier", f"alert posted: {row['kind']}", f"to {row['unit']}")
        if row["settled_at"]:
            yield _settled(row, f"alert {row['kind']}", f"{row['unit']} by {row['channel']}")
    for row in known.pushes:
        if row["settled_at"]:
            yield _settled(row, f"order {row['kind']} push", f"by {row['channel']}")


def _settled(row: Row, what: str, where: str) -> Step:
    state = {"delivered": "delivered", "dead": "not delivered", "moot": "no longer needed"}[row["state"]]
    tries = f", {row['attempts']} tries" if row["attempts"] > 1 else ""
    why = f": {row['last_reason']}" if row["state"] == "dead" and row["last_reason"] else ""
    return Step(row["settled_at"], "notifier", f"{what} {state}", f"{where}{tries}{why}")


def _casework(known: Known) -> Iterator[Step]:
    case = known.counted
    if case is None or case["case_id"] is None:
        return
    opened = any(row["kind"] == "opened" for row in known.alerts)
    in_case = f"case {case['case_id']}"
    if opened:
        yield Step(case["opened_at"], "notifier", "case opened", f"{in_case}, {case['in_charge']}")
    elif posted := [row["created_at"] for row in known.alerts if row["kind"] == "joined"]:
        yield Step(min(posted), "notifier", "case joined", f"{in_case}, of {case['reports']} reports")
    if case["acknowledged_at"]:
        yield Step(case["acknowledged_at"], "notifier", "case acknowledged", _margin(case))
    if case["closed_at"]:
        yield Step(case["closed_at"], "notifier", "case closed", str(case["finding"]))
    for row in known.timeline:
        yield Step(row["at"], "notifier", f"case: {row['kind']}")


def _margin(case: Row) -> str:
    late = (case["acknowledged_at"] - case["acknowledge_by"]).total_seconds()
    return f"{late:.0f} s late" if late > 0 else "in time"


def _ordering(known: Known) -> Iterator[Step]:
    for row in known.orders:
        which = f"{row['kind']} {row['id']}"
        proposed = row["approval_level"] is not None
        what = "order proposed" if proposed else "order given"
        yield Step(row["ordered_at"], "notifier", what, f"{which}, {row['bank']}, {yuan(row['amount_fen'])} yuan")
        if row["approved_at"]:
            yield Step(row["approved_at"], "notifier", "order approved", which)
        if row["executed_at"]:
            yield Step(row["executed_at"], "bank", "order executed", f"{which}, by the bank's clock")
        if row["answered_at"]:
            yield Step(row["answered_at"], "notifier", "order answered", f"{which}: {row['status']}")
        if row["ended_at"]:
            yield Step(row["ended_at"], "notifier", "hold ended", f"{which}: {row['ended_why']}")
    seen = set()
    for row in known.at_the_bank:
        if row["id"] not in seen and row["pulled_at"]:
            yield Step(row["pulled_at"], "intake", "order first pulled", f"{row['id']}, {row['pulled_times']} times")
        if row["id"] not in seen and row["received_at"]:
            yield Step(row["received_at"], "intake", "feedback received", str(row["id"]))
        if row["contradicted_at"]:
            yield Step(row["contradicted_at"], "intake", "feedback contradicted", str(row["id"]))
        seen.add(row["id"])


def _ending(known: Known) -> Iterator[Step]:
    for row in known.booked:
        whose = "the case" if row["of_case"] else "the report"
        yield Step(row["booked_at"], "notifier", f"booked: {row['kind']}", f"{yuan(row['fen'])} yuan of {whose}")
    for row in known.became:
        yield Step(row["applied_at"], "rules", "finding applied", str(row["finding"]))


def owed(known: Known) -> list[Owed]:
    """Return what is still to come: answers, deliveries, and what is due by a clock."""
    open_rows = [
        Owed(service, _awaited(row), row["created_at"], row["due_at"], _tried(row)) for service, row in known.owed
    ]
    waiting = [
        Owed("notifier", f"delivery by {row['channel']}", row["created_at"], row["due_at"], f"{row['attempts']} tries")
        for row in (*known.alerts, *known.pushes)
        if row["state"] == "pending"
    ]
    due = [Owed("notifier", f"deadline: {row['stage']}", None, row["due_at"], _about(row)) for row in known.deadlines]
    return open_rows + waiting + due


def _awaited(row: Row) -> str:
    if row["unsent"] or not row["awaits_answer"]:
        return f"{row['type']} is not acknowledged by the broker"
    return f"{row['type']} has no answer"


def _tried(row: Row) -> str:
    return f"repeated {row['attempts']} times" if row["attempts"] else ""


def _about(row: Row) -> str:
    return str(row["subject"] or "")


def told(known: Known) -> dict[str, Any]:
    """Return it all for programs. Times are ISO 8601, `ms` since the first step, `gap_ms` since the one before."""
    way = steps(known)
    first = way[0].at if way else None
    before = [way[0], *way] if way else []
    return {
        "report_id": known.report_id,
        "trace_id": known.traceparent()[3:35] or None,
        "steps": [
            {
                "at": one.at.isoformat(timespec="milliseconds"),
                "ms": _ms(one.at, first),
                "gap_ms": _ms(one.at, earlier.at),
                "service": one.service,
                "step": one.what,
                "details": one.details,
            }
            for one, earlier in zip(way, before, strict=False)
        ],
        "open": [
            {
                "service": one.service,
                "what": one.what,
                "since": one.since and one.since.isoformat(timespec="milliseconds"),
                "due_at": one.due_at and one.due_at.isoformat(timespec="milliseconds"),
                "details": one.details,
            }
            for one in owed(known)
        ],
        "dead_letters": [
            {
                "service": one.service,
                "id": one.id,
                "topic": one.topic,
                "reason": one.reason,
                "state": one.state,
                "parked_at": one.parked_at.isoformat(timespec="milliseconds"),
            }
            for one in known.letters
        ],
        "missing": known.missing,
        "times_not_kept": list(NOT_KEPT),
    }


def _ms(at: datetime, since: datetime | None) -> int:
    return round((at - since).total_seconds() * 1000) if since else 0
