"""What banks' answers to orders come to, account by account. Pure. Amounts in fen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.notifier.money.transfer import Transfer
from shared.events import OrderKind

STOPS: Final = (OrderKind.STOP, OrderKind.EXTEND_STOP)
FREEZES: Final = (OrderKind.FREEZE, OrderKind.EXTEND_FREEZE)


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """An order that a bank executed. `covers` are the reports it is about, `holds` whether nothing has ended it.

    `done_fen` is what the bank says it stopped, froze or returned, by the order's kind.
    """

    order_id: UUID
    kind: OrderKind
    ordered_fen: int
    done_fen: int | None
    balance_before_fen: int | None = None
    covers: tuple[UUID, ...] = ()
    holds: bool = True
    held_elsewhere_fen: int = 0
    """What another case's orders were holding on the same account when the bank answered: it is counted there."""
    account: str = ""
    level: int = 1
    acts_on: UUID | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What became of the money on an account: stopped = holding + released + returned."""

    stopped: int = 0
    frozen: int = 0
    returned: int = 0
    holding: int = 0

    @property
    def released(self) -> int:
        return self.stopped - self.holding - self.returned


def accounts(orders: Sequence[OrderFacts], transfers: Sequence[Transfer]) -> list[Held]:
    """Return what orders came to on each account, the customer's payee first.

    Together they hold no more than can have left the counter, or than officers ordered beyond that on the payee's
    account, such as other victims' money. So a yuan that is followed to a further account is not stopped twice.
    """
    by_account: dict[str, list[OrderFacts]] = {}
    for order in sorted(orders, key=lambda one: (one.level, one.order_id)):
        by_account.setdefault(order.account, []).append(order)
    beyond = max((_beyond(one, transfers) for one in orders if one.kind in STOPS and one.level == 1), default=0)
    room = beyond + sum(one.amount_fen - one.averted_fen for one in transfers)
    found = []
    for on_account in by_account.values():
        one = _account(on_account, transfers, room)
        room -= one.stopped
        found.append(one)
    return found


def _account(orders: Sequence[OrderFacts], transfers: Sequence[Transfer], room: int) -> Held:
    """Return what orders came to on one account. A second stop, or an extension, holds the same money again."""
    done = _done(orders)
    held = {one.order_id: stop_holds(one, transfers, done[one.order_id]) for one in orders if one.kind in STOPS}
    fixed = {one.order_id: min(one.ordered_fen, done[one.order_id]) for one in orders if one.kind in FREEZES}
    stopped = min(room, max(held.values(), default=0))
    frozen = min(stopped, max(fixed.values(), default=0))
    given_back = [one for one in orders if one.kind is OrderKind.RETURN_FUNDS]
    returned = min(frozen, sum(min(one.ordered_fen, done[one.order_id]) for one in given_back))
    still_fixed = [fixed[one.order_id] for one in orders if one.holds and one.kind in FREEZES]
    still_held = [held[one.order_id] for one in orders if one.holds and one.kind in STOPS]
    if still_fixed:
        holding = min(frozen - returned, max(still_fixed))
    else:
        holding = min(stopped - returned, max(still_held, default=0))
    return Held(stopped, frozen, returned, holding)


def _done(orders: Sequence[OrderFacts]) -> Mapping[UUID, int]:
    """Return what each order did; one that goes on with another's hold and names no amount does as much as that."""
    by_id = {one.order_id: one for one in orders}
    amounts = {}
    for order in orders:
        at: OrderFacts | None = order
        while at is not None and at.done_fen is None and at.kind in (OrderKind.EXTEND_STOP, *FREEZES):
            at = by_id.get(at.acts_on) if at.acts_on else None
        amounts[order.order_id] = 0 if at is None or at.done_fen is None else at.done_fen
    return amounts


def stop_holds(stop: OrderFacts, transfers: Sequence[Transfer], stopped_fen: int) -> int:
    """Return what one stop holds: capped by the balance before it and by the order.

    Money that was averted never left the counter, so a stop cannot have held it, whether the order was
    given before the customer cancelled (and is for all of it) or after (and is for the rest).
    """
    balance = stopped_fen if stop.balance_before_fen is None else stop.balance_before_fen
    caps = [stopped_fen, stop.ordered_fen, balance - stop.held_elsewhere_fen]
    if stop.level == 1:
        covered = _covered(stop, transfers)
        asked = max(stop.ordered_fen, sum(one.amount_fen for one in covered))
        caps.append(asked - sum(one.averted_fen for one in covered))
    return max(0, min(caps))


def _beyond(stop: OrderFacts, transfers: Sequence[Transfer]) -> int:
    return max(0, stop.ordered_fen - sum(one.amount_fen for one in _covered(stop, transfers)))


def _covered(stop: OrderFacts, transfers: Sequence[Transfer]) -> list[Transfer]:
    return [one for one in transfers if any(report.report_id in stop.covers for report in one.reports)]
