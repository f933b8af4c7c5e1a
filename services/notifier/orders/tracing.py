"""The accounts of a case as a tree: how the money went, how each account stands, what may be ordered on it. Pure.

Accounts are joined by their tokens. The tree is followed from the account the customer paid; money that comes back
is shown once and never followed, so the walk ends. The time that counts runs from the first transfer of the case.
"""

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.notifier.cases.case import Case
from services.notifier.orders.holds import Hold, account_of
from services.notifier.orders.law import Rule
from services.notifier.orders.legality import Asked, refuse_unlawful
from services.notifier.orders.onward import Moved, mask_of
from services.notifier.orders.order import Order
from shared.errors import Refusal
from shared.events import OrderChanged, OrderKind
from shared.privacy import Seal

DEEPEST: Final = 10
MOST_SHOWN: Final = 500
"""Bounds of what a screen shows. The table keeps everything; an order may go to any account in it."""


@dataclass(frozen=True, slots=True)
class Start:
    """An account that the walk begins at: the one the customer paid, or one that only an order names."""

    id: UUID
    token: str
    level: int
    bank: str
    mask: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AccountNode:
    """An account of a case. `id` is what an order names as `onward_id`; the first account's is the case's own.

    `amount_fen` moved in from `parent` in `transfers` transfers, the first at `transferred_at`, `minutes` after the
    first transfer of the case. `same_as` is the node that shows this account in full, where the money reached it by
    another way too; `cycle` says that it came back to where it had been. `more` accounts further on are not shown.
    """

    id: UUID
    parent: UUID | None
    level: int
    bank: str
    mask: dict[str, str]
    amount_fen: int | None = None
    transfers: int = 0
    transferred_at: datetime | None = None
    minutes: int = 0
    hold: Hold = Hold.FREE
    expires_at: datetime | None = None
    orders: tuple[UUID, ...] = ()
    offered: tuple[OrderKind, ...] = ()
    connected: bool = True
    same_as: UUID | None = None
    cycle: bool = False
    more: int = 0


@dataclass(frozen=True, slots=True)
class Traced:
    """What is known of a case's accounts. `orders` are all ever made on any of them, whichever case they were for.

    `strays` are the case's orders on accounts that nothing else names (a corrected number), as the bank was told.
    """

    case: Case
    moved: Sequence[Moved]
    orders: Sequence[Order]
    strays: Sequence[tuple[str, OrderChanged]]
    connected: frozenset[str]


def accounts(traced: Traced, began_at: datetime, identity: Seal, now: datetime) -> list[AccountNode]:
    """Return a case's accounts as a tree, parents first: how each stands, and what may be ordered on it."""
    starts = _starts(traced, identity)
    token_of = {one.id: one.token for one in starts} | {one.id: one.token for one in traced.moved}
    orders: dict[str, list[Order]] = {}
    for one in traced.orders:
        orders.setdefault(one.payee_token, []).append(one)
    return [
        node if node.same_as else _standing(node, traced, orders.get(token_of[node.id], ()), now)
        for node in tree(starts, traced.moved, began_at)
    ]


def _starts(traced: Traced, identity: Seal) -> list[Start]:
    case = traced.case
    bank = case.payee_mask.get("bank_code", "")
    found = {case.payee_token: Start(case.id, case.payee_token, 1, bank, case.payee_mask)}
    for token, order in traced.strays:
        payee = json.loads(identity.open(order.identity, str(order.order_id)))["payee"]
        mask = mask_of(payee["name"], payee["account"], order.bank)
        found.setdefault(token, Start(order.order_id, token, order.account_level, order.bank, mask))
    return list(found.values())


def _standing(node: AccountNode, traced: Traced, orders: Sequence[Order], now: datetime) -> AccountNode:
    account = account_of(orders, now)
    connected = node.bank in traced.connected
    return replace(
        node,
        hold=account.hold,
        expires_at=account.by.expires_at if account.by else None,
        orders=tuple(one.id for one in orders if one.case_id == traced.case.id),
        offered=offered(traced.case, orders, now) if connected else (),
        connected=connected,
    )


def offered(case: Case, orders: Sequence[Order], now: datetime) -> tuple[OrderKind, ...]:
    """Return the kinds of order that no rule forbids on an account now; `orders` are all ever made on it.

    What only waits to be put right (a mismatch) is offered: the officer may correct it.
    """
    return tuple(kind for kind in OrderKind if _lawful(Asked(kind, 1, notice_number="-"), case, orders, now))


def _lawful(asked: Asked, case: Case, orders: Sequence[Order], now: datetime) -> bool:
    try:
        refuse_unlawful(asked, case, orders, now)
    except Refusal as refusal:
        return refusal.extensions.get("rule") == Rule.CORRECT_THE_MISMATCH.value
    return True


def tree(starts: Sequence[Start], moved: Iterable[Moved], began_at: datetime) -> list[AccountNode]:
    """Walk from the starts to where the money went, the nearest accounts first, within the bounds.

    What lies beyond them is counted in `more` of the last account shown on the way to it.
    """
    branches = _branches(moved)
    nodes = {one.id: AccountNode(one.id, None, one.level, one.bank, dict(one.mask)) for one in starts}
    shown = {one.token: one.id for one in starts}
    beyond: set[str] = set()
    waiting = deque((one.id, one.token, one.level) for one in starts)
    while waiting:
        at, token, level = waiting.popleft()
        for branch in branches.get(token, ()):
            if level >= DEEPEST or len(nodes) >= MOST_SHOWN:
                if branch[0].token not in beyond and branch[0].token not in shown:
                    beyond.add(branch[0].token)
                    nodes[at] = replace(nodes[at], more=nodes[at].more + 1)
                    waiting.append((at, branch[0].token, DEEPEST))
                continue
            same_as = shown.setdefault(branch[0].token, branch[0].id)
            node = _node(branch, nodes[at], began_at)
            if same_as == node.id:
                waiting.append((node.id, branch[0].token, node.level))
            else:
                node = replace(node, same_as=same_as, cycle=same_as in _path(at, nodes))
            nodes[node.id] = node
    return list(nodes.values())


def _branches(moved: Iterable[Moved]) -> dict[str, list[list[Moved]]]:
    """Return by parent the transfers to each next account, the first first."""
    pairs: dict[tuple[str, str], list[Moved]] = {}
    for one in sorted(moved, key=lambda one: (one.transferred_at, one.id)):
        pairs.setdefault((one.parent, one.token), []).append(one)
    branches: dict[str, list[list[Moved]]] = {}
    for (parent, _), transfers in pairs.items():
        branches.setdefault(parent, []).append(transfers)
    return branches


def _node(transfers: Sequence[Moved], parent: AccountNode, began_at: datetime) -> AccountNode:
    first = transfers[0]
    after = max(timedelta(), first.transferred_at - began_at)  # the account may have had money of others before
    return AccountNode(
        id=first.id,
        parent=parent.id,
        level=parent.level + 1,
        bank=first.bank,
        mask=dict(first.mask),
        amount_fen=sum(one.amount_fen for one in transfers),
        transfers=len(transfers),
        transferred_at=first.transferred_at,
        minutes=int(after.total_seconds()) // 60,
    )


def _path(at: UUID, nodes: Mapping[UUID, AccountNode]) -> set[UUID]:
    """Return an account and those its money came through."""
    path = set()
    step: UUID | None = at
    while step is not None:
        path.add(step)
        step = nodes[step].parent
    return path
