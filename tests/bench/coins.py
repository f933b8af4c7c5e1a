"""What became of the money of one life, coin by coin, as the banks moved it. It never looks into the ledger."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from services.notifier.money.holding import OrderFacts
from services.notifier.orders.effect import months_later
from services.notifier.orders.order import FREEZING, HOLDING, STOPPING
from shared.events import FeedbackReceived, OrderKind
from tests.unit.notifier.coins import Model

KINDS = ("reported", "averted", "stopped", "frozen", "released", "returned", "lost")


@dataclass
class Known:
    """An order as the bank and the life know it."""

    id: UUID
    kind: OrderKind
    case_id: UUID
    account: str
    ordered_fen: int
    level: int = 1
    covers: tuple[UUID, ...] = ()
    acts_on: UUID | None = None
    done_fen: int | None = None
    holds_fen: int = 0
    elsewhere_fen: int = 0
    executed_at: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None

    def live(self, at: datetime) -> bool:
        """Whether it holds an account at a moment, by what is known now."""
        held = self.kind in HOLDING and self.executed_at is not None and self.expires_at is not None
        return held and at < (self.expires_at or at) and (self.ended_at is None or at < self.ended_at)


@dataclass
class Coins:
    """The coins of one life: a book for each family of cases, and what banks hold by the orders they have done."""

    books: dict[UUID, Model] = field(default_factory=dict)
    root_of: dict[UUID, UUID] = field(default_factory=dict)
    """The case that a case was split from, at last; itself for one that was not."""
    orders: dict[UUID, Known] = field(default_factory=dict)

    def run_out(self, now: datetime) -> None:
        """The bank frees by itself what has run out."""
        for one in self.orders.values():
            if one.kind in HOLDING and one.ended_at is None and one.expires_at and one.expires_at <= now:
                one.ended_at = one.expires_at

    def frozen(self, now: datetime) -> list[Known]:
        return [one for one in self.orders.values() if one.kind in FREEZING and one.live(now)]

    def done(self, known: Known, feedback: FeedbackReceived) -> None:
        """Write down for ourselves what the bank has done: what it holds from now on, and what no longer."""
        assert feedback.executed_at
        at = known.executed_at = feedback.executed_at
        on_account = [one for one in self.orders.values() if one.account == known.account and one is not known]
        told = feedback.stopped_fen if known.kind in STOPPING else feedback.frozen_fen
        told = feedback.returned_fen if known.kind is OrderKind.RETURN_FUNDS else told
        if told is None and known.acts_on:
            told = self.orders[known.acts_on].done_fen
        known.done_fen = told
        if known.kind in STOPPING:
            known.elsewhere_fen = self._held_elsewhere(known, on_account, at)
        if known.kind in HOLDING:
            known.holds_fen = _held(known, feedback)
            known.expires_at = months_later(at, 6) if known.kind in FREEZING else at + timedelta(hours=48)
        self._end_holds(known, on_account, at)
        self._note(known, feedback.balance_before_fen)

    def _held_elsewhere(self, known: Known, on_account: Sequence[Known], at: datetime) -> int:
        """Return what other families of cases hold of the account already, or what earlier orders of ours found so."""
        family = self._family(known.case_id)
        others = [one.holds_fen for one in on_account if one.case_id not in family and one.live(at)]
        mine = [
            one.elsewhere_fen for one in on_account if one.case_id in family and one.executed_at and not one.ended_at
        ]
        return max([0, *others, *mine])

    def _note(self, known: Known, balance_before_fen: int | None) -> None:
        if known.kind in (*HOLDING, OrderKind.RETURN_FUNDS):
            self.books[self.root_of[known.case_id]].orders[known.id] = OrderFacts(
                known.id,
                known.kind,
                known.ordered_fen,
                known.done_fen,
                balance_before_fen,
                known.covers,
                held_elsewhere_fen=known.elsewhere_fen,
                account=known.account,
                level=known.level,
            )

    def _end_holds(self, done: Known, on_account: Sequence[Known], at: datetime) -> None:
        ends = {OrderKind.UNFREEZE: HOLDING, OrderKind.EXTEND_FREEZE: HOLDING, OrderKind.RETURN_FUNDS: ()}
        over = () if done.kind is OrderKind.STOP else ends.get(done.kind, STOPPING)
        for one in on_account:
            still = one.executed_at and one.ended_at is None and one.expires_at and at < one.expires_at
            if one.kind in over and one.case_id == done.case_id and still:
                one.ended_at = at

    def _family(self, case_id: UUID) -> set[UUID]:
        return {one for one, root in self.root_of.items() if root == self.root_of[case_id]}

    def money(self, now: datetime) -> Counter[str]:
        """Return what became of all money of this life, in fen by kind."""
        self.run_out(now)
        total: Counter[str] = Counter()
        for book in self.books.values():
            total += self._of_book(book)
        return total

    def _of_book(self, book: Model) -> Counter[str]:
        nearest: dict[str, str] = {}
        for one in book.orders.values():
            name = f"{one.level:03} {one.order_id}"
            nearest[one.account] = min(name, nearest.get(one.account, name))
        for one in list(book.orders.values()):
            holds = self.orders[one.order_id].ended_at is None
            book.orders[one.order_id] = replace(one, account=nearest[one.account], holds=holds)
        hands = list(book.accounts())
        stopped = sum(len(one.ever) for one in hands)
        return Counter(
            reported=sum(one.amount_fen for one in book.reports.values()),
            averted=len(book.averted()),
            stopped=stopped,
            frozen=sum(len(one.frozen) for one in hands),
            released=sum(len(one.ever - one.holding - one.returned) for one in hands),
            returned=sum(len(one.returned) for one in hands),
            lost=max(0, len(book.gone()) - stopped),
        )


def _held(known: Known, feedback: FeedbackReceived) -> int:
    """Return what a bank holds by an order: no more than was ordered, than it says, and than was there."""
    asked = [known.ordered_fen]
    if feedback.stopped_fen is not None or feedback.frozen_fen is not None:
        asked.append(known.done_fen or 0)
    if known.kind in STOPPING and feedback.balance_before_fen is not None:
        asked.append(feedback.balance_before_fen)
    return min(asked)
