"""What the earlier reports of one batch were judged to be, for the later ones to know. Pure.

The database counts them, but learns how they were judged only with the whole batch.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from services.rules.features import Value
from shared.events import Level, ReportFiled

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)


class Batch:
    """The suspicious reports of a batch so far. Batches are judged in the order of filing."""

    def __init__(self) -> None:
        self._by_token: dict[str, list[tuple[ReportFiled, Level]]] = defaultdict(list)

    def remember(self, report: ReportFiled, level: Level) -> None:
        """Take in a verdict."""
        if level is not Level.CLEAR:
            for token in {report.payee_token, *_payer_tokens(report)}:
                self._by_token[token].append((report, level))

    def added_to(self, past: Mapping[str, Value], report: ReportFiled) -> dict[str, Value]:
        """Add what is remembered to what the database knows of a report's payee and payer."""
        of_payee = [
            level
            for other, level in self._by_token.get(report.payee_token, ())
            if other.payee_token == report.payee_token and report.filed_at - other.filed_at < WEEK
        ]
        payers = _payer_tokens(report)
        elsewhere = {
            other.report_id
            for token in payers
            for other, _ in self._by_token.get(token, ())
            if payers & _payer_tokens(other)
            and other.branch != report.branch
            and report.filed_at - other.filed_at < DAY
        }
        return {
            **past,
            "payee.alerts_7d": int(past["payee.alerts_7d"]) + of_payee.count(Level.ALERT),
            "payee.cautions_7d": int(past["payee.cautions_7d"]) + of_payee.count(Level.CAUTION),
            "payer.suspected_elsewhere_24h": int(past["payer.suspected_elsewhere_24h"]) + len(elsewhere),
        }


def _payer_tokens(report: ReportFiled) -> set[str]:
    return {token for token in (report.payer_token, report.payer_person_token) if token is not None}
