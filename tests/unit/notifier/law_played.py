"""What happens to an account in the tests of the law: each step is put to the product and to the model."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

from services.notifier.orders import effect, legality
from services.notifier.orders.legality import Asked
from services.notifier.orders.order import Order, Standing
from shared.errors import Refusal
from shared.events import CaseStatus, Checked, Failure, FeedbackResult, Finding, OrderKind
from tests.unit.notifier.facts import NOON, a_case, an_order, feedback
from tests.unit.notifier.law_model import FREES, FREEZES, Model, Paper

T = TypeVar("T")
COUNTY, CITY = 2, 1
tried: Counter[str] = Counter()


def allowed_by_law(step: Callable[[], T]) -> T | None:
    """Return what a step comes to, or nothing where a rule refuses it."""
    try:
        return step()
    except Refusal:
        return None


class Played:
    """Two cases of one account, their orders, the bank, second officers, and time."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(NOON)
        self.cases = [a_case(), a_case()]
        self.orders: list[Order] = []

    def _ran_out(self, one: Order) -> bool:
        return one.ended_at is None and one.expires_at is not None and one.expires_at <= self.model.now

    def give(self, kind: OrderKind, case: int, fen: int, months: int | None, *, major: bool, correct: bool) -> None:
        freezes, about = kind.value in FREEZES, self.cases[case]
        wrong = self._wrong(kind, case) if correct else None
        asked = Asked(kind, fen, months if freezes else None, major, "1号", None, wrong, frozenset(Checked))
        long = (months or 6) > 6
        lawful = self.model.lawful(kind.value, case, fen, corrected=wrong is not None)
        lawful &= not freezes or (months or 6) <= (12 if major else 6)
        mine = allowed_by_law(lambda: legality.refuse_unlawful(asked, about, self.orders, self.model.now))
        assert (mine is not None) == lawful
        tried[kind.value if mine else f"{kind.value} refused"] += 1
        if mine is None:
            return
        level = legality.approval_level(asked, 90)
        must = (CITY if long else COUNTY) if freezes else COUNTY if kind is OrderKind.RETURN_FUNDS else None
        assert level == (must if must or kind.value in FREES or fen <= 90 else 6)
        given = an_order(
            about,
            kind=kind,
            amount_fen=fen,
            status=Standing.PENDING if level is None else Standing.PROPOSED,
            approval_level=level,
            term_months=(months or 6) if freezes else None,
            notice_number="1号",
            acts_on=mine.by.id if mine.by and kind is not OrderKind.STOP else None,
            corrects=wrong and wrong.id,
            ordered_at=self.model.now,
        )
        self.orders.append(given)
        of = self.model.papers.get(given.acts_on) if given.acts_on else None
        self.model.papers[given.id] = Paper(kind.value, case, fen, of=of, corrects=wrong is not None)

    def _wrong(self, kind: OrderKind, case: int) -> Order | None:
        mine = [one for one in self.orders if one.kind is kind and one.case_id == self.cases[case].id]
        mine = [one for one in mine if one.status is not Standing.REJECTED]
        return mine[-1] if mine and (mine[-1].failure is Failure.MISMATCH or self._vain(mine[-1])) else None

    def _vain(self, one: Order) -> bool:
        return one.corrects is not None and one.status is Standing.FAILED

    def waiting(self, standing: Standing) -> list[Order]:
        return [one for one in self.orders if one.status is standing]

    def decide(self, before: Order, level: int, *, own: bool, yes: bool) -> None:
        paper, others = self.model.papers[before.id], [one for one in self.orders if one.id != before.id]
        by = before.ordered_by if own and before.ordered_by else uuid4()
        if not yes:
            allowed = own or level <= (before.approval_level or 6)
            self._step("reject", before, allowed, lambda: legality.rejected(before, by, "approver", level))
            if allowed:
                paper.state, paper.turned_down = "fell", True
            return
        allowed = not own and level <= (before.approval_level or 6)
        allowed &= self.model.lawful(
            paper.kind, paper.case, paper.fen, but=paper, corrected=before.corrects is not None
        )

        def approve() -> Order:
            after = legality.approved(before, by, "approver", level, self.model.now)
            legality.refuse_unlawful(
                legality.asked_again(before, self.orders), self.cases[paper.case], others, self.model.now
            )
            return after

        self._step("approve", before, allowed, approve)

    def _step(self, name: str, before: Order, allowed: bool, step: Callable[[], Order]) -> None:  # noqa: FBT001
        after = allowed_by_law(step)
        assert (after is not None) == allowed
        tried[name if after else f"{name} refused"] += 1
        if after is None:
            return
        self.orders = [after if one.id == before.id else one for one in self.orders]

    def answer(self, before: Order, how: str, share: float) -> None:
        tried[f"bank {how}"] += 1
        paper, fen = self.model.papers[before.id], int(before.amount_fen * share)
        if how == "done":
            amount: dict[str, Any] = {"stopped_fen": fen, "frozen_fen": fen, "returned_fen": fen}
            answer = feedback(before, executed_at=self.model.now, received_at=self.model.now, **amount)
            self.model.does(paper, before.term_months, fen)
        else:
            facts: dict[str, Any] = (
                {"failure": Failure.MISMATCH, "mismatch": (Checked.NAME,)} if how == "mismatch" else {}
            )
            answer = feedback(before, FeedbackResult.FAILURE, received_at=self.model.now, **facts)
            paper.state, paper.mismatch = "fell", how == "mismatch"
        after = effect.answered(before, answer)
        changed = {one.id: one for one in [after, *effect.ended_by(after, self.orders)]}
        self.orders = [changed.get(one.id, one) for one in self.orders]

    def decide_case(self, case: int, finding: Finding | None) -> None:
        tried["closed or reopened"] += 1
        status = CaseStatus.CLOSED if finding else CaseStatus.ACKNOWLEDGED
        self.model.finding[case] = finding and finding.value
        self.cases[case] = replace(self.cases[case], status=status, finding=finding)

    def failed(self) -> list[Order]:
        return [one for one in self.orders if one.failure is Failure.MISMATCH]

    def case_of(self, one: Order) -> int:
        return next(number for number, case in enumerate(self.cases) if case.id == one.case_id)
