"""Orders on one account, driven at random by two cases, against a model that knows the law in plain sentences."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.notifier.orders import effect, holds, order
from services.notifier.orders.order import Standing
from shared.events import Finding, OrderKind
from tests.unit.notifier.law_model import STOPS
from tests.unit.notifier.law_played import CITY, Played, tried


@pytest.fixture(scope="module", autouse=True)
def _figures() -> Iterator[None]:
    """Print how much was tried: `pytest -s`."""
    yield
    print(f"\n{sum(tried.values())} steps: {dict(sorted(tried.items()))}")  # noqa: T201 - the figure that is quoted


class Law(Played, RuleBasedStateMachine):
    """Two cases of one account, their orders, the bank, second officers, and time."""

    # what happens

    @initialize(stands=some.sampled_from(["free", "stopped", "frozen", "frozen"]))
    def begin(self, stands: str) -> None:
        """Begin deep enough that what follows a freeze is tried as often as what follows a stop."""
        for kind in {"free": (), "stopped": (OrderKind.STOP,), "frozen": (OrderKind.STOP, OrderKind.FREEZE)}[stands]:
            self.give(kind, 0, 80, None, major=False, correct=False)
            for proposed in self.waiting(Standing.PROPOSED):
                self.decide(proposed, CITY, own=False, yes=True)
            self.answer(self.waiting(Standing.PENDING)[0], "done", 1.0)

    @rule(hours=some.sampled_from([1, 5, 23, 24, 47, 48, 24 * 30, 24 * 180]), marked=some.booleans())
    def time_passes(self, hours: int, *, marked: bool) -> None:
        """What ran out is marked as ended soon after, though not at once."""
        tried["time passes"] += 1
        self.model.now += timedelta(hours=hours)
        if marked:
            self.orders = [effect.expired(one) if self._ran_out(one) else one for one in self.orders]

    @rule(
        kind=some.sampled_from(list(OrderKind)),
        case=some.sampled_from([0, 0, 0, 1]),
        fen=some.integers(1, 100),
        months=some.sampled_from([None, 1, 6, 7, 12, 13]),
        major=some.booleans(),
        correct=some.booleans(),
    )
    def ask(self, kind: OrderKind, case: int, fen: int, months: int | None, *, major: bool, correct: bool) -> None:
        self.give(kind, case, fen, months, major=major, correct=correct)

    @rule(data=some.data(), months=some.sampled_from([None, 6]), fen=some.integers(1, 95))
    def ask_for_what_is_lawful(self, data: Any, months: int | None, fen: int) -> None:  # noqa: ANN401
        possible = [(kind, case) for case in (0, 1) for kind in OrderKind if self.model.lawful(kind.value, case, fen)]
        if possible:
            kind, case = data.draw(some.sampled_from(possible))
            self.give(kind, case, fen, months, major=False, correct=False)

    @precondition(lambda self: self.waiting(Standing.PROPOSED))
    @rule(data=some.data(), own=some.booleans(), level=some.sampled_from([1, 2, 2, 3]), yes=some.booleans())
    def second_officer(self, data: Any, level: int, *, own: bool, yes: bool) -> None:  # noqa: ANN401
        self.decide(data.draw(some.sampled_from(self.waiting(Standing.PROPOSED))), level, own=own, yes=yes)

    @precondition(lambda self: self.waiting(Standing.PENDING))
    @rule(data=some.data(), how=some.sampled_from(["done", "mismatch", "mismatch", "fails"]), share=some.floats(0, 1))
    def bank_answers(self, data: Any, how: str, share: float) -> None:  # noqa: ANN401
        self.answer(data.draw(some.sampled_from(self.waiting(Standing.PENDING))), how, share)

    @precondition(lambda self: self.waiting(Standing.PENDING))
    @rule()
    def bank_does_all_of_it(self) -> None:
        self.answer(self.waiting(Standing.PENDING)[0], "done", 1.0)

    @precondition(lambda self: self.waiting(Standing.PROPOSED))
    @rule()
    def second_officer_of_the_city_agrees(self) -> None:
        self.decide(self.waiting(Standing.PROPOSED)[0], CITY, own=False, yes=True)

    @precondition(lambda self: self.failed())
    @rule(correct=some.booleans())
    def what_did_not_match_is_asked_again(self, *, correct: bool) -> None:
        for one in self.failed()[-1:]:
            self.give(one.kind, self.case_of(one), one.amount_fen, one.term_months, major=False, correct=correct)

    @rule(case=some.sampled_from([0, 1]), finding=some.sampled_from([None, None, Finding.CONFIRMED, Finding.UNFOUNDED]))
    def case_is_closed_or_reopened(self, case: int, finding: Finding | None) -> None:
        self.decide_case(case, finding)

    @precondition(lambda self: self.model.held(0) == "frozen")
    @rule(fen=some.integers(1, 100))
    def frozen_money_is_returned(self, fen: int) -> None:
        self.decide_case(0, Finding.CONFIRMED)
        self.give(OrderKind.RETURN_FUNDS, 0, fen, None, major=False, correct=False)

    # what must always hold

    @invariant()
    def the_account_stands_as_the_model_says(self) -> None:
        for number, case in enumerate(self.cases):
            mine = holds.account_of([one for one in self.orders if one.case_id == case.id], self.model.now)
            assert mine.hold.value == self.model.held(number)
        assert holds.account_of(self.orders, self.model.now).hold.value == self.model.held()

    @invariant()
    def no_account_is_stopped_more_than_twice(self) -> None:
        done = [one for one in self.orders if one.kind.value in STOPS and one.status is Standing.EXECUTED]
        assert len(done) <= 2

    @invariant()
    def no_hold_outlasts_its_lawful_term(self) -> None:
        for one in self.orders:
            if one.holds(self.model.now):
                assert one.executed_at is not None
                longest = (
                    timedelta(hours=48) if one.kind.value in STOPS else timedelta(days=31) * (one.term_months or 6)
                )
                assert self.model.now < one.executed_at + longest

    @invariant()
    def nothing_is_free_unless_something_ended_it(self) -> None:
        for one in self.orders:
            if one.kind in order.HOLDING and one.status is Standing.EXECUTED and not one.holds(self.model.now):
                assert one.ended_at is not None or (one.expires_at and one.expires_at <= self.model.now)
            assert (one.ended_at is None) == (one.ended_why is None)

    @invariant()
    def every_freeze_took_the_place_of_a_stop(self) -> None:
        for one in self.orders:
            if one.kind is OrderKind.FREEZE:
                acted_on = next(stop for stop in self.orders if stop.id == one.acts_on)
                assert acted_on.kind.value in STOPS
                assert acted_on.expires_at is not None
                assert one.ordered_at < acted_on.expires_at

    @invariant()
    def no_more_is_returned_than_was_frozen(self) -> None:
        for first in (one for one in self.orders if one.kind is OrderKind.FREEZE):
            chain = {
                one.id for one in self.orders if first.id in {up.id for up in holds.freeze_chain(one, self.orders)}
            }
            given_back = [one for one in self.orders if one.kind is OrderKind.RETURN_FUNDS and one.acts_on in chain]
            assert sum(one.returned_fen or 0 for one in given_back) <= (first.frozen_fen or 0)


TestOrdersByLaw = Law.TestCase
TestOrdersByLaw.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
