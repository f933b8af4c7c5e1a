"""Reports, and which of them are about one and the same transfer. Pure. Amounts in fen.

The payer's bank and the payee's may both report a transfer, or a second branch that the customer goes to after the
first has warned: the money is the same, so it is averted, lost or stopped once. What can be known of it: the same
payer's account, payee's account and amount, seen within ten minutes by different branches. One branch that reports
twice is taken at its word: a customer who splits a sum makes equal transfers at one counter.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from shared.events import DispositionOutcome, ReportFiled

ONE_TRANSFER_WITHIN: Final = timedelta(minutes=10)
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """A report and how the visit ended. `alike` is equal for reports of the same payer, payee and amount."""

    report_id: UUID
    bank: str
    unit: str
    amount_fen: int
    outcome: DispositionOutcome | None = None
    disposition_fen: int = 0
    branch: str = ""
    alike: str | None = None
    observed_at: datetime = LONG_AGO

    @property
    def averted_fen(self) -> int:
        return self.disposition_fen if self.outcome is DispositionOutcome.CANCELLED else 0

    @property
    def sent_fen(self) -> int:
        return self.disposition_fen if self.outcome is DispositionOutcome.ALREADY_SENT else 0


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer and the reports of it. Where they differ on how it ended, what has gone was not averted."""

    reports: tuple[ReportFacts, ...]

    @property
    def amount_fen(self) -> int:
        return max(one.amount_fen for one in self.reports)

    @property
    def sent_fen(self) -> int:
        return max(one.sent_fen for one in self.reports)

    @property
    def averted_fen(self) -> int:
        return min(max(one.averted_fen for one in self.reports), self.amount_fen - self.sent_fen)

    @property
    def averted_by(self) -> UUID:
        """Return the report that the averted money is counted for: the first that says most of it."""
        return max(self.reports, key=lambda one: one.averted_fen).report_id

    @property
    def sent_by(self) -> UUID:
        """Return the report that the money gone is counted for."""
        return max(self.reports, key=lambda one: one.sent_fen).report_id


def alike(report: ReportFiled) -> str:
    """Return what is equal for reports of the same payer, payee and amount."""
    return f"{report.payer_token} {report.payee_token} {report.amount_fen}"


def transfers(reports: Iterable[ReportFacts]) -> list[Transfer]:
    """Put together the reports of each transfer; the same whatever order they came in."""
    alike: dict[str, list[ReportFacts]] = {}
    for report in sorted(reports, key=lambda one: (one.observed_at, one.report_id)):
        alike.setdefault(report.alike or str(report.report_id), []).append(report)
    return [Transfer(tuple(group)) for same in alike.values() for group in _within_minutes(same)]


def transfers_of(reports: Sequence[ReportFiled], averted: Mapping[UUID, int]) -> list[Transfer]:
    """Return the transfers that filed reports are of, oldest first, with what was averted of reports."""
    return transfers(
        ReportFacts(
            report_id=one.report_id,
            bank=one.bank,
            unit="",
            amount_fen=one.amount_fen,
            outcome=DispositionOutcome.CANCELLED if one.report_id in averted else None,
            disposition_fen=averted.get(one.report_id, 0),
            branch=one.branch,
            alike=alike(one),
            observed_at=one.observed_at,
        )
        for one in reports
    )


def _within_minutes(reports: list[ReportFacts]) -> Iterator[list[ReportFacts]]:
    """Give each report, oldest first, to the earliest transfer of the last minutes that its branch is not in."""
    groups: list[list[ReportFacts]] = []
    for report in reports:
        for group in groups:
            in_time = report.observed_at - group[0].observed_at <= ONE_TRANSFER_WITHIN
            if in_time and all(one.branch != report.branch for one in group):
                group.append(report)
                break
        else:
            groups.append([report])
    yield from groups
