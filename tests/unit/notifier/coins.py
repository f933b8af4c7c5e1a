"""A model of the ledger that knows every single fen, and moves it by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from services.notifier.money.holding import FREEZES, STOPS, OrderFacts
from services.notifier.money.transfer import ReportFacts
from shared.events import DispositionOutcome, OrderKind

Coin = tuple[int, int]
"""One fen of one transfer. Those beyond all reports are of transfer -1."""


@dataclass
class Hands:
    """What became of the coins of one account."""

    ever: set[Coin] = field(default_factory=set)
    frozen: set[Coin] = field(default_factory=set)
    returned: set[Coin] = field(default_factory=set)
    stopping: set[Coin] = field(default_factory=set)
    freezing: set[Coin] = field(default_factory=set)
    freeze_holds: bool = False

    @property
    def holding(self) -> set[Coin]:
        return (self.freezing if self.freeze_holds else self.stopping) - self.returned


@dataclass
class Model:
    """Fen by fen: which were put forward, which stayed at the counter, which had gone, which are held."""

    number_of: dict[UUID, int] = field(default_factory=dict)
    """The transfer each report is about."""
    reports: dict[UUID, ReportFacts] = field(default_factory=dict)
    orders: dict[UUID, OrderFacts] = field(default_factory=dict)

    def coins(self, *report_ids: UUID) -> set[Coin]:
        known = [one for one in report_ids if one in self.reports]
        return {(self.number_of[one], coin) for one in known for coin in range(self.reports[one].amount_fen)}

    def gone(self) -> set[Coin]:
        """The last coins of a transfer are the first to go."""
        return {
            (self.number_of[one.report_id], one.amount_fen - 1 - coin)
            for one in self.reports.values()
            if one.outcome is DispositionOutcome.ALREADY_SENT
            for coin in range(one.disposition_fen)
        }

    def averted(self) -> set[Coin]:
        stayed = {
            (self.number_of[one.report_id], coin)
            for one in self.reports.values()
            if one.outcome is DispositionOutcome.CANCELLED
            for coin in range(one.disposition_fen)
        }
        return stayed - self.gone()

    def beyond(self, stop: OrderFacts) -> int:
        return max(0, stop.ordered_fen - len(self.coins(*stop.covers)))

    def there(self) -> list[Coin]:
        """The coins that may lie on accounts: they left the counter, or an officer says there are more."""
        stops = [one for one in self.orders.values() if one.kind in STOPS]
        more = max((self.beyond(one) for one in stops if one.level == 1), default=0)
        left = self.coins(*self.reports) - self.averted()
        return [*sorted(left), *((-1, coin) for coin in range(more))]

    def grasp(self, stop: OrderFacts) -> int:
        """Count the coins a stop can hold."""
        said = stop.done_fen or 0
        there = said if stop.balance_before_fen is None else stop.balance_before_fen
        said = min(said, there - stop.held_elsewhere_fen)
        if stop.level == 1:
            said = min(said, len(self.coins(*stop.covers) - self.averted()) + self.beyond(stop))
        return max(0, min(said, stop.ordered_fen))

    def accounts(self) -> Iterator[Hands]:
        """Move the coins as the banks said they did, account by account."""
        left = self.there()
        for name in sorted({one.account for one in self.orders.values()}):
            hands = self._moved([one for one in self.orders.values() if one.account == name], left)
            left = [coin for coin in left if coin not in hands.ever]
            yield hands

    def _moved(self, orders: list[OrderFacts], there: list[Coin]) -> Hands:
        hands = Hands()
        stops = [one for one in orders if one.kind in STOPS]
        freezes = [one for one in orders if one.kind in FREEZES]
        for stop in stops:
            hands.ever |= set(there[: self.grasp(stop)])
        stopped = [coin for coin in there if coin in hands.ever]
        for freeze in freezes:
            hands.frozen |= set(stopped[: said(freeze)])
        frozen = [coin for coin in there if coin in hands.frozen]
        for order in orders:
            if order.kind is OrderKind.RETURN_FUNDS:
                hands.returned |= {frozen.pop() for _ in range(min(said(order), len(frozen)))}
        remaining = [coin for coin in stopped if coin not in hands.returned]
        for stop in stops:
            if stop.holds:
                hands.stopping |= set(remaining[: self.grasp(stop)])
        for freeze in freezes:
            if freeze.holds:
                hands.freeze_holds = True
                hands.freezing |= set(stopped[: said(freeze)])
        return hands


def said(order: OrderFacts) -> int:
    """Count the coins that a bank froze or returned of those it was ordered to."""
    return min(order.done_fen or 0, order.ordered_fen)
