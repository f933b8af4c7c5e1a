"""The ledger against a model that knows every single fen: whatever comes, twice, late, in any order, corrected."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from services.notifier.money.holding import FREEZES, STOPS, OrderFacts
from services.notifier.money.ledger import Account, Book, Kind, due, entries
from services.notifier.money.transfer import ReportFacts
from shared.events import DispositionOutcome, OrderKind
from tests.unit.notifier.coins import Model

SMALL = st.integers(0, 12)
OUTCOMES = st.sampled_from(DispositionOutcome)
ACCOUNTS = st.sampled_from(("1", "2", "3"))
"""The payee's account, and two that the money moved on to."""
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ENDS = {
    OrderKind.EXTEND_STOP: STOPS,
    OrderKind.FREEZE: STOPS,
    OrderKind.EXTEND_FREEZE: FREEZES,
}


class Ledger(RuleBasedStateMachine):
    """A case, its reports and its orders; after each event the ledger books what is due by then."""

    reports = Bundle("reports")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.booked: Counter[Account] = Counter()

    @rule(target=reports, fen=st.integers(1, 12))
    def report(self, fen: int) -> UUID:
        report_id = self._report(fen)
        self._settle()
        return report_id

    @rule(target=reports, fen=st.integers(1, 12), outcome=OUTCOMES, part=SMALL)
    def report_whose_disposition_came_first(self, fen: int, outcome: DispositionOutcome, part: int) -> UUID:
        report_id = self._report(fen)
        self._end(report_id, outcome, min(part, fen))
        self._settle()
        return report_id

    @rule(target=reports, first=reports)
    def another_bank_reports_the_same_transfer(self, first: UUID) -> UUID:
        known = self.model.reports[first]
        report_id = uuid4()
        again = replace(known, report_id=report_id, branch=str(report_id), outcome=None, disposition_fen=0)
        self.model.number_of[report_id] = self.model.number_of[first]
        self.model.reports[report_id] = replace(again, observed_at=known.observed_at + timedelta(seconds=1))
        self._settle()
        return report_id

    @rule(report_id=reports, outcome=OUTCOMES, part=SMALL)
    def visit_ends_or_its_end_is_corrected(self, report_id: UUID, outcome: DispositionOutcome, part: int) -> None:
        self._end(report_id, outcome, min(part, self.model.reports[report_id].amount_fen))
        self._settle()

    @rule(
        account=ACCOUNTS,
        ordered=st.integers(1, 30),
        stopped=st.integers(0, 30),
        balance=st.none() | st.integers(0, 30),
        elsewhere=st.integers(0, 5),
    )
    def bank_stops(self, account: str, ordered: int, stopped: int, balance: int | None, elsewhere: int) -> None:
        """The order is about what was not all averted by then, as `give_order` makes it."""
        covers = [one.report_id for one in self.model.reports.values() if one.averted_fen < one.amount_fen]
        self._order(account, OrderKind.STOP, ordered, stopped, balance, tuple(covers), elsewhere)

    @rule(account=ACCOUNTS, ordered=st.integers(1, 30), done=st.integers(0, 30))
    def bank_extends(self, account: str, ordered: int, done: int) -> None:
        for stop in self._holding(account, STOPS)[-1:]:
            self._order(account, OrderKind.EXTEND_STOP, ordered, done, None, stop.covers, stop.held_elsewhere_fen)

    @rule(account=ACCOUNTS, ordered=st.integers(1, 30), done=st.integers(0, 30))
    def bank_freezes(self, account: str, ordered: int, done: int) -> None:
        if self._holding(account, STOPS):
            self._order(account, OrderKind.FREEZE, ordered, done)

    @rule(account=ACCOUNTS, ordered=st.integers(1, 30), done=st.integers(0, 30))
    def bank_renews(self, account: str, ordered: int, done: int) -> None:
        if self._holding(account, FREEZES):
            self._order(account, OrderKind.EXTEND_FREEZE, ordered, done)

    @rule(account=ACCOUNTS, ordered=st.integers(1, 30), done=st.integers(0, 30))
    def bank_returns(self, account: str, ordered: int, done: int) -> None:
        if self._holding(account, FREEZES):
            self._order(account, OrderKind.RETURN_FUNDS, ordered, done)

    @rule(account=ACCOUNTS, kinds=st.sampled_from((STOPS, FREEZES)))
    def bank_releases_or_the_hold_runs_out(self, account: str, kinds: tuple[OrderKind, ...]) -> None:
        self._free(account, kinds)
        self._settle()

    def _order(
        self,
        account: str,
        kind: OrderKind,
        ordered: int,
        done: int,
        balance: int | None = None,
        covers: tuple[UUID, ...] = (),
        elsewhere: int = 0,
    ) -> None:
        self._free(account, ENDS.get(kind, ()))
        order_id = UUID(int=len(self.model.orders))
        order = OrderFacts(order_id, kind, ordered, done, balance, covers, held_elsewhere_fen=elsewhere)
        self.model.orders[order_id] = replace(order, account=account, level=int(account))
        self._settle()

    def _holding(self, account: str, kinds: tuple[OrderKind, ...]) -> list[OrderFacts]:
        return [one for one in self.model.orders.values() if one.account == account and one.kind in kinds and one.holds]

    def _free(self, account: str, kinds: tuple[OrderKind, ...]) -> None:
        for one in self._holding(account, kinds):
            self.model.orders[one.order_id] = replace(one, holds=False)

    def _report(self, fen: int) -> UUID:
        report_id = uuid4()
        self.model.number_of[report_id] = number = len(self.model.number_of)
        one = ReportFacts(report_id, "ICBC", "SZ", fen, branch="ICBC-1", alike=str(number), observed_at=NOON)
        self.model.reports[report_id] = one
        return report_id

    def _end(self, report_id: UUID, outcome: DispositionOutcome, fen: int) -> None:
        known = self.model.reports[report_id]
        self.model.reports[report_id] = replace(known, outcome=outcome, disposition_fen=fen)

    def _lines(self) -> list[tuple[Account, int]]:
        facts = list(self.model.reports.values()), list(self.model.orders.values())
        book = Book(uuid4(), "ICBC", "SZ", *facts, self.booked)
        return [((line.kind, line.report_id), line.fen) for line in entries(book)]

    def _sum(self, kind: Kind) -> int:
        return sum(fen for (one, _), fen in self.booked.items() if one is kind)

    def _settle(self) -> None:
        for account, fen in self._lines():
            assert fen
            self.booked[account] += fen

    @invariant()
    def what_is_booked_is_what_is_due_and_a_repetition_books_nothing(self) -> None:
        wanted = due(list(self.model.reports.values()), list(self.model.orders.values()))
        assert {account: fen for account, fen in wanted.items() if fen} == +self.booked
        assert self._lines() == []

    @invariant()
    def every_kind_is_what_the_model_counts(self) -> None:
        hands = list(self.model.accounts())
        stopped = sum(len(one.ever) for one in hands)
        assert self._sum(Kind.AVERTED) == len(self.model.averted())
        assert self._sum(Kind.STOPPED) == stopped
        assert self._sum(Kind.FROZEN) == sum(len(one.frozen) for one in hands)
        assert self._sum(Kind.RETURNED) == sum(len(one.returned) for one in hands)
        assert self._sum(Kind.RELEASED) == sum(len(one.ever - one.holding - one.returned) for one in hands)
        assert self._sum(Kind.LOST) == max(0, len(self.model.gone()) - stopped)

    @invariant()
    def no_fen_counts_twice(self) -> None:
        assert all(fen >= 0 for fen in self.booked.values())
        put_forward = len(self.model.coins(*self.model.reports))
        stops = [one for one in self.model.orders.values() if one.kind in STOPS and one.level == 1]
        beyond = max(map(self.model.beyond, stops), default=0)
        assert self._sum(Kind.AVERTED) + self._sum(Kind.STOPPED) <= put_forward + beyond
        assert self._sum(Kind.RETURNED) <= self._sum(Kind.FROZEN) <= self._sum(Kind.STOPPED)
        assert self._sum(Kind.RELEASED) + self._sum(Kind.RETURNED) <= self._sum(Kind.STOPPED)


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
