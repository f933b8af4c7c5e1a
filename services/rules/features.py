"""What is known when a report is judged: every name a rule may use, and where its value comes from.

Facts are a flat mapping from name to value. A name that is missing has its default, so that facts kept
years ago can still be read. Windows end at the moment the report was filed (or judged again) and look at
other reports filed before it. Counts saturate at the latest 100 reports of a payee or payer, so that one
hot account cannot slow the others down.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import holidays

from shared.events import AccountType, Channel, ReportFiled

Value = bool | int | str
Facts = Mapping[str, Value]
"""From name to value; what is missing has its default."""

WINDOWS: Final = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}
UNKNOWN: Final = -1
COUNTERS_CLOSE_AT: Final = 17
NIGHT_FROM: Final = 22
NIGHT_TO: Final = 6
CHINA: Final = ZoneInfo("Asia/Shanghai")
FEN_A_YUAN: Final = 100
NO: Final = False
"""The default of what is so or is not."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A name that rules may use: its default tells its type. `unit` and `window` are for the reader."""

    name: str
    default: Value
    meaning: str
    unit: str = ""
    window: str = ""


def _windowed(whose: str, name: str, meaning: str, unit: str) -> Iterator[Feature]:
    for suffix, window in WINDOWS.items():
        yield Feature(f"{whose}.{name}_{suffix}", 0, meaning, unit, window)


TRANSFER: Final = (
    Feature("transfer.amount_yuan", 0, "Amount of the transfer, cut to whole yuan", "yuan"),
    Feature("transfer.channel", "counter_transfer", "How the money is to leave, as the bank reported it"),
    Feature("transfer.cash", NO, "The customer wants cash"),
    Feature("transfer.round", NO, "The amount is a multiple of 1,000 yuan"),
    Feature("transfer.other_bank", NO, "Payee's and payer's banks differ"),
    Feature("transfer.same_account", NO, "Payer's and payee's account are the same"),
    Feature("payee.personal", NO, "The payee's account is a person's, not an organisation's"),
    Feature("payer.age", UNKNOWN, "The customer's age, -1 where the report has no identity number", "years"),
    Feature("payer.organisation", NO, "The report has no identity number of the payer: an organisation pays"),
)

TIME: Final = (
    Feature("time.hour", 12, "Hour of the visit in China", "hours, 0-23"),
    Feature("time.weekday", 1, "Day of the week of the visit: 1 is Monday, 7 is Sunday", "days"),
    Feature("time.holiday", NO, "The visit is on a public holiday of China, its substitute days included"),
    Feature("time.night", NO, "The visit is between 22:00 and 06:00"),
    Feature("time.minutes_to_closing", 0, "Minutes until counters close at 17:00; negative after that", "minutes"),
)

PAYEE: Final = (
    *_windowed("payee", "reports", "Earlier reports on the payee's account", "reports"),
    *_windowed("payee", "amount_yuan", "Sum of the earlier reports on the payee's account", "yuan"),
    *_windowed("payee", "payers", "Distinct payers in earlier reports on the payee's account", "payers"),
    *_windowed("payee", "branches", "Distinct branches of earlier reports on the payee's account", "branches"),
    *_windowed("payee", "banks", "Distinct reporting banks of earlier reports on the payee's account", "banks"),
    Feature("payee.other_branches_7d", 0, "Distinct other branches that reported the payee", "branches", "7 days"),
    Feature(
        "payee.first_seen_minutes",
        UNKNOWN,
        "Minutes since the first report on the payee; -1: none",
        "minutes",
        "30 days",
    ),
    Feature("payee.cautions_7d", 0, "Earlier reports on the payee judged caution", "reports", "7 days"),
    Feature(
        "payee.alerts_7d",
        0,
        "Earlier reports on the payee judged alert; those from before the police found it unfounded do not count",
        "reports",
        "7 days",
    ),
    Feature(
        "payee.cancelled_30d", 0, "Visits to pay this payee that were given up at the counter", "visits", "30 days"
    ),
    Feature("payee.proceeded_30d", 0, "Visits to pay this payee that went ahead", "visits", "30 days"),
    Feature("payee.already_sent_30d", 0, "Visits where the money had gone to this payee already", "visits", "30 days"),
    Feature("payee.confirmed", NO, "The police's last finding on this payee is fraud"),
    Feature("payee.unfounded", NO, "The police's last finding on this payee is that there was none"),
    Feature("payee.scam_type", "", "The scam type the police confirmed of this payee; empty: none"),
    Feature("payee.pays_out_24h", 0, "Earlier reports in which the payee's account pays others", "reports", "24 hours"),
    Feature("payee.watched", NO, "The payee is on the watch list now"),
    Feature("payee.trusted", NO, "The payee is on the list of trusted payees now"),
)

PAYER: Final = (
    *_windowed("payer", "reports", "Earlier reports on the customer, by account or identity number", "reports"),
    *_windowed("payer", "amount_yuan", "Sum of the earlier reports on the customer", "yuan"),
    *_windowed("payer", "payees", "Distinct payees in earlier reports on the customer", "payees"),
    *_windowed("payer", "branches", "Distinct branches of earlier reports on the customer", "branches"),
    *_windowed("payer", "banks", "Distinct reporting banks of earlier reports on the customer", "banks"),
    Feature("payer.to_payee_30d", 0, "Earlier reports of this customer paying this payee", "reports", "30 days"),
    Feature(
        "payer.suspected_elsewhere_24h",
        0,
        "Reports on the customer at other branches judged caution or alert",
        "reports",
        "24 hours",
    ),
    Feature("payer.cancelled_elsewhere_24h", 0, "Visits given up at other branches", "visits", "24 hours"),
    Feature("payer.cancelled_30d", 0, "Visits of the customer that were given up at the counter", "visits", "30 days"),
    Feature("payer.confirmed_30d", 0, "Reports of the customer in cases the police confirmed", "reports", "30 days"),
    Feature("payer.largest_yuan_30d", UNKNOWN, "Largest earlier amount of the customer; -1: none", "yuan", "30 days"),
    Feature("payer.median_yuan_30d", UNKNOWN, "Median earlier amount of the customer; -1: none", "yuan", "30 days"),
    Feature(
        "payer.received_24h", 0, "Earlier reports in which others pay the customer's account", "reports", "24 hours"
    ),
    Feature("payer.received_from_24h", 0, "Distinct payers in those reports", "payers", "24 hours"),
)

BRANCH: Final = (
    Feature(
        "branch.reports_2h",
        0,
        "Earlier reports of the branch in this clock hour and the one before",
        "reports",
        "2 hours",
    ),
    Feature("branch.reports_24h", 0, "Earlier reports of the branch, by clock hour", "reports", "24 hours"),
    Feature("branch.reports_7d", 0, "Earlier reports of the branch, by clock hour", "reports", "7 days"),
    Feature(
        "branch.amount_percentile",
        UNKNOWN,
        "Share of the branch's earlier reports with a smaller amount; -1: fewer than 20 reports",
        "percent",
        "30 days",
    ),
)

FEATURES: Final = {one.name: one for one in (*TRANSFER, *TIME, *PAYEE, *PAYER, *BRANCH)}
"""The names that do not depend on a pack. A pack adds `cue.*`, `says.*` and `text.*`."""

DEFAULTS: Final[Facts] = {name: feature.default for name, feature in FEATURES.items()}


def facts(report: ReportFiled, past: Facts) -> Facts:
    """Put together what the report says itself and what is known of its payee, payer and branch."""
    return {**_transfer(report), **_time(report.observed_at), **past}


def notable(known: Facts) -> dict[str, Value]:
    """Return the facts that differ from their defaults: what is worth keeping."""
    return {name: value for name, value in known.items() if value != DEFAULTS[name]}


def _transfer(report: ReportFiled) -> dict[str, Value]:
    return {
        "transfer.amount_yuan": report.amount_fen // FEN_A_YUAN,
        "transfer.channel": report.channel.value,
        "transfer.cash": report.channel in {Channel.COUNTER_CASH, Channel.ATM},
        "transfer.round": report.amount_fen % (1_000 * FEN_A_YUAN) == 0,
        "transfer.other_bank": report.payee_bank != report.bank,
        "transfer.same_account": "payer_is_payee" in report.flags,
        "payee.personal": report.payee_account_type is AccountType.PERSONAL,
        "payer.age": UNKNOWN if report.payer_age is None else report.payer_age,
        "payer.organisation": report.payer_person_token is None,
    }


def _time(moment: datetime) -> dict[str, Value]:
    here = moment.astimezone(CHINA)
    return {
        "time.hour": here.hour,
        "time.weekday": here.isoweekday(),
        "time.holiday": here.date() in _holidays(),
        "time.night": here.hour >= NIGHT_FROM or here.hour < NIGHT_TO,
        "time.minutes_to_closing": COUNTERS_CLOSE_AT * 60 - here.hour * 60 - here.minute,
    }


@cache
def _holidays() -> holidays.HolidayBase:
    return holidays.country_holidays("CN")
