"""Orders as the police see them: who gave and approved them, what the bank answered and in which words."""

import json
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from services.notifier.orders.order import EndedWhy, Standing
from services.notifier.orders.order_store import order_of
from shared.events import Checked, Failure, FeedbackReceived, OrderKind
from shared.postgres import Row
from shared.privacy import Seal


class OrderView(BaseModel):
    """An order as the police see it. Amounts in fen.

    `approval_level` is the level of unit whose officer must approve (1 city, 2 county, 6 any). Of an order that
    failed, `failure` tells the kind: facts that do not match (`mismatch`), a technical cause, or a remark.
    """

    id: UUID
    case_id: UUID
    kind: OrderKind
    status: Standing
    version: int
    bank: str
    amount_fen: int
    account_level: int
    application_type: str
    original_application_id: UUID | None
    emergency_level: str
    acts_on: UUID | None
    corrects: UUID | None
    term_months: int | None
    scope: str | None
    includes_proceeds: bool | None
    notice_number: str | None
    ordered_by: str | None
    approval_level: int | None
    approved_by: str | None
    approved_at: datetime | None
    ordered_at: datetime
    bank_stopped_at: datetime | None
    answered_at: datetime | None
    balance_before_fen: int | None
    stopped_fen: int | None
    frozen_fen: int | None
    returned_fen: int | None
    failure: Failure | None
    mismatch: list[Checked]
    failure_cause: str | None
    remark: str | None
    operator: str | None
    executed_at: datetime | None
    expires_at: datetime | None
    unwanted: bool
    ended_at: datetime | None
    ended_why: EndedWhy | None


WORDS = ("failure_cause", "remark", "operator")
NAMED = ("ordered_by", "approved_by")


def order_view(row: Row, identity: Seal) -> OrderView:
    """Build the view of an order from its row with the names of officers and the feedback. Opens the bank's words."""
    order = order_of(row)
    said: dict[str, str | None] = {}
    if row["feedback"] is not None:
        event = FeedbackReceived.model_validate_json(row["feedback"])
        said = json.loads(identity.open(event.identity, str(event.feedback_id)))
    told = {word: said.get(word) for word in WORDS} | {name: row[f"{name}_name"] for name in NAMED}
    plain = OrderView.model_fields.keys() - told.keys()
    return OrderView(**told, **{name: getattr(order, name) for name in plain})
