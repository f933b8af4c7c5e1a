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

from services.notifier.money.holding import OrderFacts, accounts
from services.notifier.money.transfer import ReportFacts, transfers


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
    """What is known and booked of a case with all that was split from it, or of one report that is in none.

    `case_id` is the case that all of `members` were split from. `bank` and `unit` own the money that is no single
    report's; they never change, or a correction would be booked under other labels than what it corrects. What was
    booked of a report as a whole, before it came into the case, stands in `booked` under that report, and is taken
    back under the report's own labels. `others` are further reports of the same transfers, booked elsewhere.
    """

    case_id: UUID | None
    bank: str
    unit: str
    reports: Sequence[ReportFacts]
    orders: Sequence[OrderFacts]
    booked: Mapping[Account, int]
    others: Sequence[ReportFacts] = ()
    members: Sequence[UUID] = ()


def due(
    reports: Sequence[ReportFacts], orders: Sequence[OrderFacts], others: Sequence[ReportFacts] = ()
) -> Counter[Account]:
    """Return what should be booked for these facts."""
    own = {report.report_id for report in reports}
    about = [one for one in transfers([*reports, *others]) if any(each.report_id in own for each in one.reports)]
    amounts: Counter[Account] = Counter()
    for one in about:
        if one.averted_by in own:
            amounts[Kind.AVERTED, one.averted_by] = one.averted_fen
    held = accounts(orders, about)
    amounts[Kind.STOPPED, None] = stopped = sum(one.stopped for one in held)
    amounts[Kind.FROZEN, None] = sum(one.frozen for one in held)
    amounts[Kind.RELEASED, None] = sum(one.released for one in held)
    amounts[Kind.RETURNED, None] = sum(one.returned for one in held)
    sent = sum(one.sent_fen for one in about if one.sent_by in own)
    amounts[Kind.LOST, None] = max(0, sent - stopped)
    return amounts


def entries(book: Book) -> list[Entry]:
    """Return the entries that bring what is booked to what is due."""
    by_id = {report.report_id: report for report in book.reports}
    alone = None if book.case_id else book.reports[0].report_id
    facts = due(book.reports, book.orders, book.others)
    wanted = {(kind, report_id or alone): fen for (kind, report_id), fen in facts.items()}
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
