"""Where money moved on to, as a bank's feedback tells it: the accounts further on, sealed, and their tokens. Pure."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notifier.orders.order import Order
from shared.events import AccountType, FeedbackReceived, OrderChanged
from shared.money import LARGEST_AMOUNT_FEN
from shared.privacy import Seal, Tokens, mask_name, mask_number


@dataclass(frozen=True, slots=True)
class Moved:
    """Money that moved from one account (`parent`) on to the next (`token`), as a bank said it. In fen.

    `level` is the next account's: 2 for the first after the one the customer paid. `sealed` holds its name, number
    and type, bound to `id`. `nth` tells equal transfers of one feedback apart.
    """

    id: UUID
    case_id: UUID
    order_id: UUID
    parent: str
    token: str
    level: int
    bank: str
    mask: Mapping[str, str]
    sealed: str
    amount_fen: int
    transferred_at: datetime
    told_at: datetime
    nth: int


@dataclass(frozen=True, slots=True)
class Addressee:
    """An account further on that an order is for. `amount_fen` is all that moved into it, as far as is known.

    `payer` is whom the money came from: name, account, bank_code. `transferred_at` is the first transfer's time.
    """

    token: str
    level: int
    bank: str
    account_type: AccountType
    name: str | None
    account: str
    parent: str
    amount_fen: int
    transferred_at: datetime
    payer: Mapping[str, str | None]


def told(
    feedback: FeedbackReceived, order: Order, identity: Seal, tokens: Tokens, mint: Callable[[], UUID]
) -> list[Moved]:
    """Return the onward accounts that a bank's answer to an order names. Raises `SealBrokenError`."""
    said = json.loads(identity.open(feedback.identity, str(feedback.feedback_id)))
    equal: Counter[tuple[Any, ...]] = Counter()
    found = []
    for one in said.get("onward") or ():
        token, row_id = tokens.of("account", one["account"]), mint()
        equal[what := (token, one["amount_fen"], one["transferred_at"])] += 1
        clear = {"name": one["name"], "account": one["account"], "account_type": one.get("account_type")}
        found.append(
            Moved(
                id=row_id,
                case_id=order.case_id,
                order_id=order.id,
                parent=order.payee_token,
                token=token,
                level=order.account_level + 1,
                bank=one["bank_code"],
                mask=mask_of(one["name"], one["account"], one["bank_code"]),
                sealed=identity.seal(json.dumps(clear, ensure_ascii=False), str(row_id)),
                amount_fen=one["amount_fen"],
                transferred_at=datetime.fromisoformat(one["transferred_at"]),
                told_at=feedback.received_at,
                nth=equal[what],
            )
        )
    return found


def addressee(
    moved: Moved, level: int, into_fen: int, since: datetime, told_by: OrderChanged, identity: Seal
) -> Addressee:
    """Open an account further on for an order. Raises `SealBrokenError`.

    In all `into_fen` moved into it, the first at `since`; `told_by` is the order whose answer named it.
    """
    clear = json.loads(identity.open(moved.sealed, str(moved.id)))
    payer = json.loads(identity.open(told_by.identity, str(told_by.order_id)))["payee"]
    return Addressee(
        token=moved.token,
        level=level,
        bank=moved.bank,
        account_type=AccountType(clear["account_type"] or AccountType.PERSONAL),
        name=clear["name"],
        account=clear["account"],
        parent=moved.parent,
        amount_fen=min(LARGEST_AMOUNT_FEN, into_fen),
        transferred_at=since,
        payer={"name": payer["name"], "account": payer["account"], "bank_code": told_by.bank},
    )


def in_clear(moved: Moved, identity: Seal) -> dict[str, Any]:
    """Return an account further on as an officer sees it who has said why. Raises `SealBrokenError`."""
    return {"id": str(moved.id), "bank_code": moved.bank, **json.loads(identity.open(moved.sealed, str(moved.id)))}


def mask_of(name: str | None, account: str, bank: str) -> dict[str, str]:
    """Return what a screen may show of an account; a bank may not know the name."""
    return {"name": mask_name(name) if name else "", "account": mask_number(account), "bank_code": bank}
