"""The ledger: what each yuan turned out to be, in fen. Pure.

Nothing is counted by adding up events as they come, since they come twice, late and out of order. The
facts of a case give the amounts it should show; what is booked is the difference to what was booked
before. So a repetition books nothing, and a correction books itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from shared.events import DispositionOutcome


class Kind(StrEnum):
    """What a yuan turned out to be."""

    REPORTED = "reported"
    AVERTED = "averted"
    STOPPED = "stopped"
    FROZEN = "frozen"
    RELEASED = "released"
    RETURNED = "returned"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """A report and how the visit ended. Amounts in fen."""

    report_id: UUID
    bank: str
    unit: str
    amount_fen: int
    outcome: DispositionOutcome | None = None
    disposition_fen: int = 0

    @property
    def averted_fen(self) -> int:
        return self.disposition_fen if self.outcome is DispositionOutcome.CANCELLED else 0

    @property
    def sent_fen(self) -> int:
        return self.disposition_fen if self.outcome is DispositionOutcome.ALREADY_SENT else 0


@dataclass(frozen=True, slots=True)
class StopFacts:
    """A stop the bank confirmed. `covers` are the reports it is about."""

    order_id: UUID
    ordered_fen: int
    stopped_fen: int
    balance_before_fen: int | None
    covers: tuple[UUID, ...]
    released: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One line to be added to the ledger."""

    kind: Kind
    fen: int
    bank: str
    unit: str
    report_id: UUID | None = None
    case_id: UUID | None = None


Account = tuple[Kind, UUID | None]
"""A kind of money of one report, or (without a report) of the case as a whole."""


def held_fen(stop: StopFacts, reports: Mapping[UUID, ReportFacts]) -> int:
    """What one stop holds: capped by the balance before it and by the order.

    Money that turned out to be averted never left the counter, so an order for it cannot have held it.
    """
    averted = sum(reports[report_id].averted_fen for report_id in stop.covers if report_id in reports)
    caps = [stop.stopped_fen, stop.ordered_fen - averted]
    if stop.balance_before_fen is not None:
        caps.append(stop.balance_before_fen)
    return max(0, min(caps))


def due(reports: Sequence[ReportFacts], stops: Sequence[StopFacts]) -> Counter[Account]:
    """Return what should be booked for these facts.

    All stops of a case are on one account, so a second stop holds the same money again: the largest counts.
    """
    by_id = {report.report_id: report for report in reports}
    amounts: Counter[Account] = Counter()
    for report in reports:
        amounts[Kind.AVERTED, report.report_id] = report.averted_fen
    held = [(held_fen(stop, by_id), stop) for stop in stops]
    stopped = max((fen for fen, _ in held), default=0)
    amounts[Kind.STOPPED, None] = stopped
    if held and all(stop.released for _, stop in held):
        amounts[Kind.RELEASED, None] = stopped
    amounts[Kind.LOST, None] = max(0, sum(report.sent_fen for report in reports) - stopped)
    return amounts


def entries(
    reports: Sequence[ReportFacts], stops: Sequence[StopFacts], booked: Mapping[Account, int], case_id: UUID | None
) -> list[Entry]:
    """Return the entries that bring what is booked to what is due.

    `reports` begin with the one that opened the case; its bank and unit stand for the case's own money.
    Without a case there is one report, and all its money is booked under it.
    """
    owner = reports[0]
    by_id = {report.report_id: report for report in reports}
    lines = []
    wanted = due(reports, stops)
    for account in sorted(wanted.keys() | booked.keys(), key=str):
        fen = wanted[account] - booked.get(account, 0)
        if fen:
            kind, report_id = account
            whose = by_id[report_id] if report_id else owner
            of_report = report_id or (None if case_id else owner.report_id)
            lines.append(Entry(kind, fen, whose.bank, whose.unit, of_report, None if of_report else case_id))
    return lines
