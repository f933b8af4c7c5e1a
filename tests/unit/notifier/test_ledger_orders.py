"""The ledger after stops: what freezes, returns, further accounts and two reports of one transfer make of the money."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.notifier.money.holding import OrderFacts
from services.notifier.money.ledger import Kind, due
from services.notifier.money.transfer import ReportFacts, transfers
from shared.events import DispositionOutcome, OrderKind

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CANCELLED, SENT = DispositionOutcome.CANCELLED, DispositionOutcome.ALREADY_SENT
REPORT = ReportFacts(uuid4(), "ICBC", "SZ-LH-CZ", 100)


def order(kind: OrderKind, done: int | None, **more: Any) -> OrderFacts:  # noqa: ANN401
    facts: dict[str, Any] = {"ordered_fen": 100, "covers": (REPORT.report_id,), "holds": True}
    return OrderFacts(uuid4(), kind, done_fen=done, **(facts | more))


def ended(one: OrderFacts) -> OrderFacts:
    return replace(one, holds=False)


def amounts(*orders: OrderFacts, reports: tuple[ReportFacts, ...] = (REPORT,)) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for (kind, _), fen in due(reports, orders).items():
        totals[kind.value] += fen
    return dict(+totals)


STOP = order(OrderKind.STOP, 80)


def test_an_extension_holds_the_same_money_again() -> None:
    assert amounts(ended(STOP), order(OrderKind.EXTEND_STOP, 60)) == {"stopped": 80, "released": 20}


def test_an_extension_that_names_no_amount_holds_what_the_stop_held() -> None:
    extension = order(OrderKind.EXTEND_STOP, None, acts_on=STOP.order_id)
    assert amounts(ended(STOP), extension) == {"stopped": 80}
    assert amounts(ended(STOP), ended(extension)) == {"stopped": 80, "released": 80}


@pytest.mark.parametrize(
    ("frozen", "ordered", "expected"),
    [
        (80, 100, {"stopped": 80, "frozen": 80}),
        (95, 100, {"stopped": 80, "frozen": 80}),
        (80, 50, {"stopped": 80, "frozen": 50, "released": 30}),
        (30, 100, {"stopped": 80, "frozen": 30, "released": 50}),
        (0, 100, {"stopped": 80, "released": 80}),
    ],
    ids=["all", "more than was stopped", "ordered less", "part", "nothing"],
)
def test_a_freeze_holds_what_was_stopped_and_frees_the_rest(
    frozen: int, ordered: int, expected: dict[str, int]
) -> None:
    assert amounts(ended(STOP), order(OrderKind.FREEZE, frozen, ordered_fen=ordered)) == expected


def test_a_renewal_freezes_the_same_money_again() -> None:
    first = order(OrderKind.FREEZE, 70)
    renewals = [order(OrderKind.EXTEND_FREEZE, fen, acts_on=first.order_id) for fen in (60, None)]
    assert amounts(ended(STOP), ended(first), renewals[0]) == {"stopped": 80, "frozen": 70, "released": 20}
    assert amounts(ended(STOP), ended(first), renewals[1]) == {"stopped": 80, "frozen": 70, "released": 10}


def test_an_unfrozen_or_expired_freeze_releases_what_it_held() -> None:
    assert amounts(ended(STOP), ended(order(OrderKind.FREEZE, 70))) == {"stopped": 80, "frozen": 70, "released": 80}


def test_what_is_returned_is_neither_held_nor_released() -> None:
    freeze = order(OrderKind.FREEZE, 70)
    parts = [order(OrderKind.RETURN_FUNDS, 30), order(OrderKind.RETURN_FUNDS, 15)]
    assert amounts(ended(STOP), freeze, *parts) == {"stopped": 80, "frozen": 70, "returned": 45, "released": 10}
    after = {"stopped": 80, "frozen": 70, "returned": 45, "released": 35}
    assert amounts(ended(STOP), ended(freeze), *parts) == after


def test_no_more_is_returned_than_was_frozen() -> None:
    freeze = order(OrderKind.FREEZE, 40)
    assert amounts(ended(STOP), freeze, order(OrderKind.RETURN_FUNDS, 90))["returned"] == 40


def test_stops_on_several_accounts_add_up() -> None:
    onward = [order(OrderKind.STOP, fen, account=name, level=2) for name, fen in (("b", 10), ("c", 5))]
    assert amounts(STOP, *onward) == {"stopped": 95}


def test_all_accounts_together_hold_no_more_than_can_have_left_the_counter() -> None:
    onward = [order(OrderKind.STOP, 15, account=name, level=2) for name in ("b", "c")]
    assert amounts(STOP, *onward) == {"stopped": 100}
    averted = replace(REPORT, outcome=CANCELLED, disposition_fen=30)
    assert amounts(STOP, *onward, reports=(averted,)) == {"averted": 30, "stopped": 70}


def test_the_payees_account_is_counted_before_those_the_money_moved_on_to() -> None:
    onward = order(OrderKind.STOP, 90, account="b", level=2, holds=False)
    assert amounts(onward, STOP) == {"stopped": 100, "released": 20}


def test_what_officers_order_beyond_the_reports_counts_too() -> None:
    assert amounts(order(OrderKind.STOP, 150, ordered_fen=150)) == {"stopped": 150}


def test_what_another_case_was_holding_is_counted_there() -> None:
    assert amounts(order(OrderKind.STOP, 80, balance_before_fen=80, held_elsewhere_fen=60)) == {"stopped": 20}


def seen(branch: str, minutes: float, outcome: DispositionOutcome | None = None, fen: int = 0) -> ReportFacts:
    at = NOON + timedelta(minutes=minutes)
    return ReportFacts(uuid4(), branch.partition("-")[0], "SZ", 100, outcome, fen, branch, "payer payee 100", at)


def test_a_transfer_that_two_branches_report_is_averted_once() -> None:
    twice = (seen("ICBC-1", 0, CANCELLED, 100), seen("CCB-1", 9, CANCELLED, 100))
    assert amounts(reports=twice) == {"averted": 100}


def test_a_transfer_that_two_branches_report_is_lost_once() -> None:
    assert amounts(reports=(seen("ICBC-1", 0, SENT, 70), seen("CCB-1", 1, SENT, 100))) == {"lost": 100}


def test_what_one_branch_averted_and_another_saw_leave_has_gone() -> None:
    assert amounts(reports=(seen("ICBC-1", 0, CANCELLED, 100), seen("ICBC-2", 5, SENT, 100))) == {"lost": 100}


def test_a_transfer_that_two_branches_report_can_leave_the_counter_once() -> None:
    twice = (seen("ICBC-1", 0, CANCELLED, 40), seen("CCB-1", 1))
    stop = order(OrderKind.STOP, 500, covers=tuple(one.report_id for one in twice))
    assert amounts(stop, reports=twice) == {"averted": 40, "stopped": 60}


def test_equal_reports_of_one_branch_or_of_another_hour_are_transfers_of_their_own() -> None:
    assert amounts(reports=(seen("ICBC-1", 0, SENT, 100), seen("ICBC-1", 1, SENT, 100))) == {"lost": 200}
    assert amounts(reports=(seen("ICBC-1", 0, SENT, 100), seen("CCB-1", 11, SENT, 100))) == {"lost": 200}


def test_one_branchs_two_transfers_and_the_other_banks_two_reports_of_them_are_two() -> None:
    four = [seen("ICBC-1", 0), seen("ICBC-1", 1), seen("CCB-1", 2), seen("CCB-1", 3)]
    assert [len(one.reports) for one in transfers(four)] == [2, 2]
    assert [len(one.reports) for one in transfers(reversed(four))] == [2, 2], "in whatever order they came"


def test_a_report_booked_elsewhere_takes_no_part_but_its_word() -> None:
    here, there = seen("ICBC-1", 0, CANCELLED, 60), seen("CCB-1", 1, CANCELLED, 90)
    assert due([here], [], [there]) == Counter(dict.fromkeys(((kind, None) for kind in KINDS_OF_CASE), 0))
    assert due([there], [], [here])[Kind.AVERTED, there.report_id] == 90


KINDS_OF_CASE = (Kind.STOPPED, Kind.FROZEN, Kind.RELEASED, Kind.RETURNED, Kind.LOST)
