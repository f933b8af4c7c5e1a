"""What else is known when a report is judged: the names the rules may use.

Windows end at the moment the report was filed and look at reports filed before it. Counts saturate at
the latest 100 sightings of a payee or payer, so that one hot account cannot slow the others down.
"""

from dataclasses import dataclass
from datetime import datetime

from shared.events import AccountType, Channel, ReportFiled


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
    """The branch's tempo, by clock hour: `1h` is this clock hour and the one before."""

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
