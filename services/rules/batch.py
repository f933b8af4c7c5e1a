"""What the earlier reports of one batch were judged to be, for the later ones to know. Pure.

The database counts them, but learns how they were judged only with the whole batch.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from services.rules.features import Value
from shared.events import Level, ReportFiled

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)

EVERYWHERE: Final = ""
"""In place of a branch."""

Customer = tuple[str | None, str | None]
"""Whom a report is of, by account and person; None: whoever it is."""


class Batch:
    """The suspicious reports of a batch so far. Batches are judged in the order of filing.

    Kept is when those were filed that are counted together, in order: so a window is looked up, not walked
    through, however many reports of a batch are on one account.
    """

    def __init__(self) -> None:
        self._on_payee: dict[tuple[str, Level], list[datetime]] = defaultdict(list)
        self._of_customer: dict[tuple[Customer, str], list[datetime]] = defaultdict(list)

    def remember(self, report: ReportFiled, level: Level) -> None:
        """Take in a verdict."""
        if level is not Level.CLEAR:
            self._on_payee[report.payee_token, level].append(report.filed_at)
            for customer, _ in _customers(report):
                self._of_customer[customer, EVERYWHERE].append(report.filed_at)
                self._of_customer[customer, report.branch].append(report.filed_at)

    def added_to(self, past: Mapping[str, Value], report: ReportFiled) -> dict[str, Value]:
        """Add what is remembered to what the database knows of a report's payee and payer."""
        payee, week = report.payee_token, report.filed_at - WEEK
        return {
            **past,
            "payee.alerts_7d": int(past["payee.alerts_7d"]) + _since(week, self._on_payee.get((payee, Level.ALERT))),
            "payee.cautions_7d": int(past["payee.cautions_7d"])
            + _since(week, self._on_payee.get((payee, Level.CAUTION))),
            "payer.suspected_elsewhere_24h": int(past["payer.suspected_elsewhere_24h"]) + self._elsewhere(report),
        }

    def _elsewhere(self, report: ReportFiled) -> int:
        """Count the reports of the customer's last day at other branches, one by account and person once."""
        of, day = self._of_customer, report.filed_at - DAY
        return sum(
            [
                sign * (_since(day, of.get((customer, EVERYWHERE))) - _since(day, of.get((customer, report.branch))))
                for customer, sign in _customers(report)
            ]
        )


def _customers(report: ReportFiled) -> Sequence[tuple[Customer, int]]:
    """Return by what a report's customer is known, and how to add up: who is known by both was counted twice."""
    account, person = report.payer_token, report.payer_person_token
    if person is None:
        return (((account, None), 1),)
    return ((account, None), 1), ((None, person), 1), ((account, person), -1)


def _since(moment: datetime, filed: Sequence[datetime] | None) -> int:
    return len(filed) - bisect_right(filed, moment) if filed else 0
