"""What else is known when a report is judged: the names the rules may use.

Windows end at the moment the report was filed and look at reports filed before it. Counts saturate at
the latest 100 sightings of a payee or payer, so that one hot account cannot slow the others down.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.events import AccountType, Channel, Level, ReportFiled

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Payee:
    """The receiving account's past. Sums in fen."""

    reports_1h: int = 0
    reports_1d: int = 0
    reports_7d: int = 0
    payers_1d: int = 0
    payers_7d: int = 0
    other_branches_7d: int = 0
    amount_7d_fen: int = 0
    alerts_7d: int = 0
    """Reports judged alert, except those from before the police found a case of this payee unfounded."""
    watched: bool = False
    watched_scam_type: str | None = None


@dataclass(frozen=True, slots=True)
class Payer:
    """The customer's past, by account and by identity number. Sums in fen."""

    reports_1h: int = 0
    reports_1d: int = 0
    reports_7d: int = 0
    amount_1d_fen: int = 0
    suspected_elsewhere_1d: int = 0
    """Reports on this customer at other branches that were judged caution or alert."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The branch's tempo, by clock hour: `1h` is this clock hour and the one before. Earlier batches only."""

    reports_1h: int = 0
    reports_1d: int = 0
    reports_7d: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a rule may look at. `text` is note and purpose, lower-case, without spaces."""

    amount_fen: int
    channel: Channel
    payee_account_type: AccountType
    payer_age: int | None
    cues: frozenset[str]
    flags: frozenset[str]
    filed_at: datetime
    text: str
    payee: Payee
    payer: Payer
    branch: Branch


def facts(report: ReportFiled, text: str, payee: Payee, payer: Payer, branch: Branch) -> Facts:
    """Put together what the rules look at."""
    return Facts(
        amount_fen=report.amount_fen,
        channel=report.channel,
        payee_account_type=report.payee_account_type,
        payer_age=report.payer_age,
        cues=frozenset(report.cues),
        flags=frozenset(report.flags),
        filed_at=report.filed_at,
        text="".join(text.lower().split()),
        payee=payee,
        payer=payer,
        branch=branch,
    )


class Judged:
    """What the earlier reports of one batch were judged to be, for the later ones to know.

    The database counts them, but learns how they were judged only with the whole batch.
    """

    def __init__(self) -> None:
        self._by_token: dict[str, list[tuple[ReportFiled, Level]]] = defaultdict(list)

    def remember(self, report: ReportFiled, level: Level) -> None:
        """Take in a verdict; batches are judged in the order of filing."""
        if level is not Level.CLEAR:
            for token in {report.payee_token, *_payer_tokens(report)}:
                self._by_token[token].append((report, level))

    def added_to(self, payee: Payee, payer: Payer, report: ReportFiled) -> tuple[Payee, Payer]:
        """Add what is remembered to what the database knows of a report's payee and payer."""
        alerts = sum(
            level is Level.ALERT and other.payee_token == report.payee_token and report.filed_at - other.filed_at < WEEK
            for other, level in self._by_token.get(report.payee_token, ())
        )
        payers = _payer_tokens(report)
        elsewhere = {
            other.report_id
            for token in payers
            for other, _ in self._by_token.get(token, ())
            if payers & _payer_tokens(other)
            and other.branch != report.branch
            and report.filed_at - other.filed_at < DAY
        }
        return (
            replace(payee, alerts_7d=payee.alerts_7d + alerts),
            replace(payer, suspected_elsewhere_1d=payer.suspected_elsewhere_1d + len(elsewhere)),
        )


def _payer_tokens(report: ReportFiled) -> set[str]:
    return {token for token in (report.payer_token, report.payer_person_token) if token is not None}
