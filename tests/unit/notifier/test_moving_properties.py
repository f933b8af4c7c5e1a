"""A report that comes into a case late: its money ends up as if it had been there from the first."""

from collections import Counter
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.money.holding import OrderFacts
from services.notifier.money.ledger import Account, Book, Entry, Kind, entries
from services.notifier.money.transfer import ReportFacts
from shared.events import DispositionOutcome, OrderKind

CASE = uuid4()
Labels = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class Visit:
    """A report, how its visit ended, and whether that was counted before the report came into the case."""

    report: ReportFacts
    counted_alone: bool


@st.composite
def visits(draw: st.DrawFn) -> Visit:
    amount = draw(st.integers(1, 20))
    outcome, fen = draw(st.sampled_from(DispositionOutcome)), draw(st.integers(0, amount))
    bank = draw(st.sampled_from(("ICBC", "CMB")))
    return Visit(ReportFacts(uuid4(), bank, "SZ", amount, outcome, fen), draw(st.booleans()))


class Books:
    """What is booked: by account, to compute from, and by bank, to show."""

    def __init__(self) -> None:
        self.booked: Counter[Account] = Counter()
        self.shown: Counter[Labels] = Counter()

    def settle(self, case_id: UUID | None, reports: list[ReportFacts], stops: list[OrderFacts]) -> list[Entry]:
        mine = {one.report_id for one in reports} | {None if case_id else reports[0].report_id}
        booked = {account: fen for account, fen in self.booked.items() if account[1] in mine}
        lines = entries(Book(case_id, reports[0].bank if case_id is None else "CCB", "SZ", reports, stops, booked))
        for line in lines:
            self.booked[line.kind, line.report_id] += line.fen
            self.shown[line.kind, line.bank] += line.fen
        return lines


@given(st.lists(visits(), min_size=1, max_size=5), st.lists(st.integers(0, 60), max_size=2))
def test_money_counted_alone_first_ends_up_as_if_the_report_had_always_been_in_the_case(
    heard: list[Visit], stopped: list[int]
) -> None:
    reports = [visit.report for visit in heard]
    covers = tuple(one.report_id for one in reports)
    stops = [OrderFacts(uuid4(), OrderKind.STOP, 60, fen, None, covers) for fen in stopped]
    late, prompt = Books(), Books()
    in_case: list[ReportFacts] = []
    for visit in heard:
        if visit.counted_alone:
            late.settle(None, [visit.report], [])
            in_case.append(visit.report)
        else:
            in_case.append(replace(visit.report, outcome=None, disposition_fen=0))
        late.settle(CASE, in_case, stops)
    late.settle(CASE, reports, stops)
    prompt.settle(CASE, reports, stops)
    assert +late.shown == +prompt.shown
    assert all(fen >= 0 for fen in late.shown.values())
    assert late.settle(CASE, reports, stops) == []
