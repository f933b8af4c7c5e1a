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
    held_elsewhere_fen: int = 0
    """What an earlier case's stop was holding on the same account at that moment: it is counted there."""


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


@dataclass(frozen=True, slots=True)
class Book:
    """What is known and booked of a case, or of one report that is in none.

    `bank` and `unit` own the money that is no single report's; they never change, or a correction would be
    booked under other labels than what it corrects. What was booked of a report as a whole, before it came
    into the case, stands in `booked` under that report, and is taken back under the report's own labels.
    """

    case_id: UUID | None
    bank: str
    unit: str
    reports: Sequence[ReportFacts]
    stops: Sequence[StopFacts]
    booked: Mapping[Account, int]


def held_fen(stop: StopFacts, reports: Mapping[UUID, ReportFacts]) -> int:
    """What one stop holds: capped by the balance before it and by the order.

    Money that was averted never left the counter, so a stop cannot have held it, whether the order was
    given before the customer cancelled (and is for all of it) or after (and is for the rest).
    """
    covered = [reports[report_id] for report_id in stop.covers if report_id in reports]
    asked = max(stop.ordered_fen, sum(report.amount_fen for report in covered))
    caps = [stop.stopped_fen, stop.ordered_fen, asked - sum(report.averted_fen for report in covered)]
    balance = stop.stopped_fen if stop.balance_before_fen is None else stop.balance_before_fen
    caps.append(balance - stop.held_elsewhere_fen)
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


def entries(book: Book) -> list[Entry]:
    """Return the entries that bring what is booked to what is due."""
    by_id = {report.report_id: report for report in book.reports}
    alone = None if book.case_id else book.reports[0].report_id
    wanted = {(kind, report_id or alone): fen for (kind, report_id), fen in due(book.reports, book.stops).items()}
    lines = []
    for account in sorted(wanted.keys() | book.booked.keys(), key=str):
        fen = wanted.get(account, 0) - book.booked.get(account, 0)
        if fen:
            lines.append(_entry(book, account, fen, by_id))
    return lines


def _entry(book: Book, account: Account, fen: int, reports: Mapping[UUID, ReportFacts]) -> Entry:
    kind, report_id = account
    if report_id is None:
        return Entry(kind, fen, book.bank, book.unit, case_id=book.case_id)
    report = reports[report_id]
    return Entry(kind, fen, report.bank, report.unit, report_id=report_id)
