"""The ledger: what each yuan turned out to be. Amounts in fen."""

from collections import Counter
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from services.notifier.money.holding import OrderFacts, stop_holds
from services.notifier.money.ledger import Account, Book, Entry, Kind, due, entries
from services.notifier.money.transfer import ReportFacts, transfers
from shared.events import DispositionOutcome, OrderKind

CASE = uuid4()
CANCELLED, PROCEEDED, SENT = (
    DispositionOutcome.CANCELLED,
    DispositionOutcome.PROCEEDED,
    DispositionOutcome.ALREADY_SENT,
)


def report(amount_fen: int, outcome: DispositionOutcome | None = None, fen: int | None = None) -> ReportFacts:
    disposition = amount_fen if fen is None else fen
    return ReportFacts(uuid4(), "ICBC", "SZ-LH-CZ", amount_fen, outcome, disposition if outcome else 0)


def stop(
    *covers: ReportFacts, ordered: int, stopped: int, balance: int | None = None, released: bool = False
) -> OrderFacts:
    covered = tuple(one.report_id for one in covers)
    return OrderFacts(uuid4(), OrderKind.STOP, ordered, stopped, balance, covered, holds=not released)


def holds(stop: OrderFacts, *reports: ReportFacts) -> int:
    return stop_holds(stop, transfers(reports), stop.done_fen or 0)


def amounts(reports: list[ReportFacts], stops: list[OrderFacts]) -> dict[str, int]:
    """What is due by kind; nothing where it is nothing."""
    totals: Counter[str] = Counter()
    for (kind, _), fen in due(reports, stops).items():
        totals[kind.value] += fen
    return {kind: fen for kind, fen in totals.items() if fen}


def book(
    reports: list[ReportFacts], stops: list[OrderFacts], booked: dict[Account, int], case_id: UUID | None = CASE
) -> Book:
    return Book(case_id, "CCB", "SZ-LH-DM", reports, stops, booked)


@pytest.mark.parametrize(
    ("outcome", "fen", "expected"),
    [
        (None, None, {}),
        (CANCELLED, None, {"averted": 100}),
        (CANCELLED, 30, {"averted": 30}),
        (CANCELLED, 0, {}),
        (PROCEEDED, None, {}),
        (SENT, None, {"lost": 100}),
        (SENT, 30, {"lost": 30}),
    ],
)
def test_how_a_visit_ended_says_what_became_of_its_money(
    outcome: DispositionOutcome | None, fen: int | None, expected: dict[str, int]
) -> None:
    assert amounts([report(100, outcome, fen)], []) == expected


@pytest.mark.parametrize(
    ("ordered", "stopped", "balance", "held"),
    [
        (100, 100, None, 100),
        (100, 100, 500, 100),
        (100, 100, 40, 40),
        (100, 40, 40, 40),
        (100, 0, 0, 0),
        (60, 100, 500, 60),
        (250, 250, 250, 250),
    ],
    ids=["all", "rich", "balance", "part", "empty", "ordered less", "ordered more than was reported"],
)
def test_a_stop_holds_at_most_the_order_and_the_balance(
    ordered: int, stopped: int, balance: int | None, held: int
) -> None:
    covered = report(100)
    one = stop(covered, ordered=ordered, stopped=stopped, balance=balance)
    assert holds(one, covered) == held


@pytest.mark.parametrize(
    ("averted", "ordered", "held"),
    [
        (100, 100, 0),
        (30, 100, 70),
        (30, 70, 70),
        (30, 50, 50),
        (60, 50, 40),
        (30, 150, 120),
        (100, 150, 50),
    ],
    ids=["all", "part", "ordered for the rest", "ordered for less", "less is left", "more", "more, all averted"],
)
def test_what_was_averted_is_never_held_too(averted: int, ordered: int, held: int) -> None:
    covered = report(100, CANCELLED, averted)
    one = stop(covered, ordered=ordered, stopped=ordered, balance=1_000)
    assert holds(one, covered) == held


def test_what_was_averted_of_a_report_the_order_is_not_about_does_not_matter() -> None:
    covered, other = report(100), report(100, CANCELLED)
    one = stop(covered, ordered=100, stopped=100)
    assert amounts([covered, other], [one]) == {"averted": 100, "stopped": 100}


def test_a_report_the_case_does_not_know_is_left_out() -> None:
    assert holds(stop(report(100), ordered=100, stopped=80)) == 80


def test_the_largest_of_several_stops_counts_since_they_hold_the_same_money() -> None:
    one = report(100)
    stops = [stop(one, ordered=100, stopped=fen) for fen in (20, 70, 50)]
    assert amounts([one], stops) == {"stopped": 70}


def test_money_is_released_as_far_as_no_stop_of_the_case_holds_it_any_more() -> None:
    one = report(100)
    first, second = stop(one, ordered=100, stopped=70, released=True), stop(one, ordered=100, stopped=50)
    assert amounts([one], [first]) == {"stopped": 70, "released": 70}
    assert amounts([one], [first, second]) == {"stopped": 70, "released": 20}
    assert amounts([one], [first, replace(second, holds=False)]) == {"stopped": 70, "released": 70}


def test_what_had_gone_is_lost_unless_a_stop_holds_it() -> None:
    gone, other = report(100, SENT), report(30, SENT, 10)
    assert amounts([gone, other], []) == {"lost": 110}
    assert amounts([gone, other], [stop(gone, other, ordered=130, stopped=60)]) == {"stopped": 60, "lost": 50}
    assert amounts([gone, other], [stop(gone, other, ordered=130, stopped=130)]) == {"stopped": 130}


def test_the_first_time_everything_due_is_booked_under_its_owner() -> None:
    averted, gone = report(100, CANCELLED, 80), report(50, SENT)
    lines = entries(book([averted, gone], [stop(gone, ordered=50, stopped=20)], {}))
    assert sorted(lines, key=lambda line: line.kind) == [
        Entry(Kind.AVERTED, 80, "ICBC", "SZ-LH-CZ", report_id=averted.report_id),
        Entry(Kind.LOST, 30, "CCB", "SZ-LH-DM", case_id=CASE),
        Entry(Kind.STOPPED, 20, "CCB", "SZ-LH-DM", case_id=CASE),
    ]


def test_without_a_case_all_money_is_booked_under_the_report() -> None:
    gone = report(50, SENT)
    [line] = entries(book([gone], [], {}, case_id=None))
    assert line == Entry(Kind.LOST, 50, "ICBC", "SZ-LH-CZ", report_id=gone.report_id)
    assert entries(book([gone], [], {(Kind.LOST, gone.report_id): 50}, case_id=None)) == []


def test_what_was_booked_of_a_report_alone_is_taken_back_where_it_was_when_a_case_counts_it() -> None:
    gone = report(50, SENT)
    lines = entries(book([gone], [stop(gone, ordered=50, stopped=20)], {(Kind.LOST, gone.report_id): 50}))
    assert set(lines) == {
        Entry(Kind.LOST, -50, "ICBC", "SZ-LH-CZ", report_id=gone.report_id),
        Entry(Kind.LOST, 30, "CCB", "SZ-LH-DM", case_id=CASE),
        Entry(Kind.STOPPED, 20, "CCB", "SZ-LH-DM", case_id=CASE),
    }


def test_what_is_booked_is_not_booked_again() -> None:
    gone = report(50, SENT)
    assert entries(book([gone], [], {(Kind.LOST, None): 50})) == []


def test_a_correction_is_an_entry_of_the_difference() -> None:
    gone = report(50, SENT)
    stops = [stop(gone, ordered=50, stopped=20)]
    lines = entries(book([gone], stops, {(Kind.LOST, None): 50, (Kind.STOPPED, None): 5}))
    assert {(line.kind, line.fen) for line in lines} == {(Kind.LOST, -20), (Kind.STOPPED, 15)}


def test_what_is_booked_and_no_longer_due_is_taken_back() -> None:
    one = report(50)
    [line] = entries(book([one], [], {(Kind.RELEASED, None): 7, (Kind.STOPPED, None): 0}))
    assert (line.kind, line.fen) == (Kind.RELEASED, -7)
