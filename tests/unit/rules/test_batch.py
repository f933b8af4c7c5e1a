"""What the earlier reports of a batch were judged to be, known to the later ones."""

from datetime import timedelta
from typing import Any

import pytest

from services.rules.batch import Batch
from services.rules.features import Value
from shared.events import AccountType, Channel, Level, ReportFiled
from shared.outbox import new_id
from tests.unit.rules.builders import NOW

INSTANT = timedelta(microseconds=1)
NOTHING: dict[str, Value] = {"payee.alerts_7d": 0, "payee.cautions_7d": 0, "payer.suspected_elsewhere_24h": 0}


def a_report(payee: str = "p", payer: str = "c", person: str | None = "i", **changes: Any) -> ReportFiled:  # noqa: ANN401
    fields: dict[str, Any] = {
        "report_id": new_id(),
        "bank": "ICBC",
        "branch": "B1",
        "observed_at": NOW,
        "filed_at": NOW,
        "late": False,
        "amount_fen": 1,
        "channel": Channel.COUNTER_TRANSFER,
        "payee_token": payee,
        "payee_bank": "CCB",
        "payee_account_type": AccountType.PERSONAL,
        "payer_token": payer,
        "payer_person_token": person,
        "cues": (),
        "flags": (),
        "identity": "",
        "narrative": "",
    }
    return ReportFiled(**{**fields, **changes})


def known(later: ReportFiled, *earlier: tuple[ReportFiled, Level]) -> tuple[Value, ...]:
    """Alerts and cautions on the payee, and suspicions elsewhere of the payer."""
    batch = Batch()
    for report, level in earlier:
        batch.remember(report, level)
    return tuple(batch.added_to(NOTHING, later).values())


def test_alerts_and_cautions_on_the_payee_count_and_clear_ones_do_not() -> None:
    levels = (Level.ALERT, Level.CLEAR, Level.CAUTION, Level.ALERT)
    earlier = [(a_report(payer=f"c{place}", person=None), level) for place, level in enumerate(levels)]
    assert known(a_report(payer="c9", person=None), *earlier) == (2, 1, 0)


def test_what_is_remembered_is_added_to_what_was_known_and_all_else_stays() -> None:
    batch = Batch()
    batch.remember(a_report(), Level.ALERT)
    past: dict[str, Value] = {**NOTHING, "payee.alerts_7d": 3, "payee.reports_1h": 5}
    added = batch.added_to(past, a_report(branch="B2"))
    assert added == {**past, "payee.alerts_7d": 4, "payer.suspected_elsewhere_24h": 1}
    assert past["payee.alerts_7d"] == 3


def test_another_payee_and_another_customer_have_nothing_to_do_with_it() -> None:
    assert known(a_report("q", "d", "j", branch="B2"), (a_report(), Level.ALERT)) == (0, 0, 0)


def test_an_account_that_pays_is_not_the_one_that_is_paid() -> None:
    assert known(a_report("c", "p", "x", branch="B2"), (a_report("p", "c"), Level.ALERT)) == (0, 0, 0)


@pytest.mark.parametrize(("age", "counts"), [(timedelta(days=7) - INSTANT, 1), (timedelta(days=7), 0)])
def test_the_payees_window_is_seven_days(age: timedelta, counts: int) -> None:
    assert known(a_report(payer="d", person=None), (a_report(filed_at=NOW - age), Level.ALERT)) == (counts, 0, 0)


@pytest.mark.parametrize(("age", "counts"), [(timedelta(days=1) - INSTANT, 1), (timedelta(days=1), 0)])
def test_the_payers_window_is_a_day(age: timedelta, counts: int) -> None:
    assert known(a_report("q", branch="B2"), (a_report(filed_at=NOW - age), Level.CAUTION)) == (0, 0, counts)


@pytest.mark.parametrize(
    ("payer", "person", "counts"), [("c", None, 1), ("x", "i", 1), ("c", "i", 1), ("x", "y", 0), ("x", None, 0)]
)
def test_a_customer_is_known_by_account_or_by_person_and_counted_once(
    payer: str, person: str | None, counts: int
) -> None:
    assert known(a_report("q", payer, person, branch="B2"), (a_report(), Level.ALERT)) == (0, 0, counts)


def test_only_other_branches_are_elsewhere() -> None:
    earlier = [(a_report("q", branch=branch), Level.CAUTION) for branch in ("B1", "B2", "B2", "B3")]
    assert known(a_report(), *earlier) == (0, 0, 3)
    assert known(a_report(branch="B2"), *earlier) == (0, 0, 2)


def test_two_who_share_no_person_because_neither_named_one_are_not_the_same() -> None:
    earlier = (a_report("q", "d", None), Level.ALERT)
    assert known(a_report("p", "c", None, branch="B2"), earlier) == (0, 0, 0)
