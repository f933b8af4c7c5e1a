"""The ledger against a model that knows every single fen: whatever comes, twice, late, in any order."""

from collections import Counter
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from services.notifier.ledger import Account, Book, Kind, ReportFacts, StopFacts, due, entries
from shared.events import DispositionOutcome

Coin = tuple[UUID, int]
"""One fen of one report."""

SMALL = st.integers(0, 12)
OUTCOMES = st.sampled_from(DispositionOutcome)


@dataclass
class Model:
    """Fen by fen: which were put forward, which stayed at the counter, which had gone, which are held."""

    reported: dict[UUID, set[Coin]] = field(default_factory=dict)
    averted: set[Coin] = field(default_factory=set)
    gone: set[Coin] = field(default_factory=set)

    def report(self, report_id: UUID, fen: int) -> None:
        self.reported[report_id] = {(report_id, number) for number in range(fen)}

    def end(self, report_id: UUID, outcome: DispositionOutcome, fen: int) -> None:
        coins = {(report_id, number) for number in range(fen)}
        if outcome is DispositionOutcome.CANCELLED:
            self.averted |= coins
        elif outcome is DispositionOutcome.ALREADY_SENT:
            self.gone |= coins

    def held(self, stop: StopFacts) -> int:
        """Count the fen a stop can hold: of the transfers it is about those that left, and what else it asks for."""
        about = {coin for report_id in stop.covers for coin in self.reported.get(report_id, ())}
        beyond = max(0, stop.ordered_fen - len(about))
        there = stop.stopped_fen if stop.balance_before_fen is None else min(stop.stopped_fen, stop.balance_before_fen)
        return min(there, stop.ordered_fen, len(about - self.averted) + beyond)


class Ledger(RuleBasedStateMachine):
    """A case, its reports and its stops; after each event the ledger books what is due by then."""

    reports = Bundle("reports")
    stops = Bundle("stops")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.facts: dict[UUID, ReportFacts] = {}
        self.stopped: dict[UUID, StopFacts] = {}
        self.booked: Counter[Account] = Counter()
        self.early: dict[UUID, tuple[DispositionOutcome, int]] = {}

    @rule(target=reports, fen=st.integers(1, 12))
    def report(self, fen: int) -> UUID:
        report_id = uuid4()
        self._report(report_id, fen)
        self._settle()
        return report_id

    @rule(target=reports, fen=st.integers(1, 12), outcome=OUTCOMES, part=SMALL)
    def report_whose_disposition_came_first(self, fen: int, outcome: DispositionOutcome, part: int) -> UUID:
        report_id = uuid4()
        self._report(report_id, fen)
        self._end(report_id, outcome, min(part, fen))
        self._settle()
        return report_id

    @rule(report_id=reports, outcome=OUTCOMES, part=SMALL)
    def visit_ends(self, report_id: UUID, outcome: DispositionOutcome, part: int) -> None:
        if self.facts[report_id].outcome is None:
            self._end(report_id, outcome, min(part, self.facts[report_id].amount_fen))
            self._settle()

    @rule(target=stops, ordered=st.integers(1, 30), stopped=st.integers(0, 30), balance=st.none() | st.integers(0, 30))
    def bank_stops(self, ordered: int, stopped: int, balance: int | None) -> UUID:
        """The order is about what was not all averted by then, as `give_order` makes it."""
        covers = tuple(one.report_id for one in self.facts.values() if one.averted_fen < one.amount_fen)
        stop = StopFacts(uuid4(), ordered, stopped, balance, covers, released=False)
        self.stopped[stop.order_id] = stop
        self._settle()
        return stop.order_id

    @rule(stop_id=consumes(stops))
    def bank_releases(self, stop_id: UUID) -> None:
        self.stopped[stop_id] = replace(self.stopped[stop_id], released=True)
        self._settle()

    def _report(self, report_id: UUID, fen: int) -> None:
        self.facts[report_id] = ReportFacts(report_id, "ICBC", "SZ", fen)
        self.model.report(report_id, fen)

    def _end(self, report_id: UUID, outcome: DispositionOutcome, fen: int) -> None:
        self.facts[report_id] = replace(self.facts[report_id], outcome=outcome, disposition_fen=fen)
        self.model.end(report_id, outcome, fen)

    def _lines(self) -> list[tuple[Account, int]]:
        book = Book(uuid4(), "ICBC", "SZ", list(self.facts.values()), list(self.stopped.values()), self.booked)
        return [((line.kind, line.report_id), line.fen) for line in entries(book)]

    def _sum(self, kind: Kind) -> int:
        return sum(fen for (one, _), fen in self.booked.items() if one is kind)

    def _settle(self) -> None:
        for account, fen in self._lines():
            assert fen
            self.booked[account] += fen

    @invariant()
    def what_is_booked_is_what_is_due_and_a_repetition_books_nothing(self) -> None:
        wanted = due(list(self.facts.values()), list(self.stopped.values()))
        assert {account: fen for account, fen in wanted.items() if fen} == +self.booked
        assert self._lines() == []

    @invariant()
    def every_kind_is_what_the_model_counts(self) -> None:
        held = max((self.model.held(stop) for stop in self.stopped.values()), default=0)
        freed = bool(self.stopped) and all(stop.released for stop in self.stopped.values())
        assert self._sum(Kind.AVERTED) == len(self.model.averted)
        assert self._sum(Kind.STOPPED) == held
        assert self._sum(Kind.RELEASED) == (held if freed else 0)
        assert self._sum(Kind.LOST) == max(0, len(self.model.gone) - held)

    @invariant()
    def no_fen_counts_twice(self) -> None:
        assert all(fen >= 0 for fen in self.booked.values())
        reported = sum(report.amount_fen for report in self.facts.values())
        averted, stopped = self._sum(Kind.AVERTED), self._sum(Kind.STOPPED)
        assert averted <= reported
        assert stopped <= max((stop.ordered_fen for stop in self.stopped.values()), default=0)
        assert averted + stopped <= reported + max(map(self._asked_beyond, self.stopped.values()), default=0)

    def _asked_beyond(self, stop: StopFacts) -> int:
        """What an officer ordered beyond the reports, such as other victims' money on the account."""
        return max(0, stop.ordered_fen - sum(self.facts[one].amount_fen for one in stop.covers))


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
