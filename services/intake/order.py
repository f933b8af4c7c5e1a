"""Orders as their bank sees them, and the bank's feedback: shapes and checks, no I/O."""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.intake.identity import Account, Code, FreeText, Name
from services.intake.report import CLOCKS_MAY_DIFFER, Moment, Strict
from shared.errors import FieldProblem
from shared.events import FeedbackContradicted, FeedbackReceived, FeedbackResult, OrderChanged, OrderKind
from shared.money import Fen, PositiveFen
from shared.privacy import Seal

MOST_ONWARD_ACCOUNTS = 100
BANK_FIRST = timedelta(hours=24)
"""In an emergency a bank may stop first and be ordered to within a day."""
OVERSTATED = "is more than the order says"


class OnwardAccount(Strict):
    """Where money has moved on to: the next account, how much of it, and when."""

    bank_code: Code
    account: Account
    name: Name | None = None
    amount_fen: PositiveFen
    transferred_at: Moment


class Feedback(Strict):
    """What the bank did with an order. Amounts are in fen.

    `failure_cause` is technical (a system was down); `remark` is the business's (no such account, the name
    does not match, already empty).
    """

    result: FeedbackResult
    balance_before_fen: Fen | None = None
    stopped_fen: Fen | None = None
    executed_at: Moment | None = None
    expires_at: Moment | None = None
    failure_cause: FreeText | None = None
    remark: FreeText | None = None
    operator: Name | None = None
    onward: Annotated[tuple[OnwardAccount, ...], Field(max_length=MOST_ONWARD_ACCOUNTS)] = ()


class FeedbackReceipt(BaseModel):
    """The answer to a feedback."""

    id: UUID
    order_id: UUID
    status: Literal["received"] = "received"


class BankOrder(BaseModel):
    """An order with the names and numbers its bank needs to execute it."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    kind: str
    status: str
    version: int
    case_id: UUID
    application_type: str
    original_application_id: UUID | None
    emergency_level: str
    scam_type: str | None
    amount_fen: int
    currency: Literal["CNY"] = "CNY"
    payer: dict[str, Any]
    payee: dict[str, Any]
    transfer_at: datetime
    ordered_at: datetime
    starts_at: datetime
    expires_at: datetime | None
    unit: str
    officer: str
    reason: str
    remark: str


def shown(order: OrderChanged, identity: Seal) -> BankOrder:
    """Open an order for the bank it is addressed to."""
    sealed = json.loads(identity.open(order.identity, str(order.order_id)))
    return BankOrder(
        id=order.order_id,
        kind=order.kind.value,
        status=order.status.value,
        version=order.version,
        case_id=order.case_id,
        application_type=order.application_type,
        original_application_id=order.original_application_id,
        emergency_level=order.emergency_level,
        scam_type=order.scam_type,
        amount_fen=order.amount_fen,
        transfer_at=order.transfer_at,
        ordered_at=order.ordered_at,
        starts_at=order.starts_at,
        expires_at=order.expires_at,
        unit=order.unit,
        **sealed,
    )


def problems(feedback: Feedback, order: OrderChanged, now: datetime) -> list[FieldProblem]:
    """Return what keeps a well-formed feedback from being accepted for this order."""
    stopped = feedback.stopped_fen or 0
    found = _left_out(feedback, order)
    if stopped > order.amount_fen:
        found.append(FieldProblem(field="stopped_fen", message=OVERSTATED))
    if feedback.balance_before_fen is not None and stopped > feedback.balance_before_fen:
        found.append(FieldProblem(field="stopped_fen", message="is more than the balance before the stop"))
    if feedback.result is FeedbackResult.FAILURE and stopped:
        found.append(FieldProblem(field="stopped_fen", message="must be absent or 0 when nothing was done"))
    if feedback.executed_at and feedback.executed_at < order.ordered_at - BANK_FIRST:
        found.append(FieldProblem(field="executed_at", message="is more than 24 hours before the order"))
    if feedback.executed_at and feedback.executed_at > now + CLOCKS_MAY_DIFFER:
        found.append(FieldProblem(field="executed_at", message="is more than 5 minutes ahead of our clock"))
    return found


def _left_out(feedback: Feedback, order: OrderChanged) -> list[FieldProblem]:
    found = []
    match feedback.result:
        case FeedbackResult.SUCCESS:
            if feedback.executed_at is None:
                message = "is needed after a success: the 48 hours run from that moment"
                found.append(FieldProblem(field="executed_at", message=message))
            if order.kind is OrderKind.STOP and feedback.stopped_fen is None:
                found.append(FieldProblem(field="stopped_fen", message="is needed: how much was stopped, in fen"))
        case FeedbackResult.FAILURE:
            if not (feedback.failure_cause or feedback.remark):
                message = "is needed after a failure (technical), or else a remark (business)"
                found.append(FieldProblem(field="failure_cause", message=message))
    return found


def received(
    feedback: Feedback, order: OrderChanged, feedback_id: UUID, identity: Seal, now: datetime
) -> FeedbackReceived:
    """Turn a feedback into the event."""
    sealed = feedback.model_dump(mode="json", include={"failure_cause", "remark", "operator", "onward"})
    return FeedbackReceived(
        feedback_id=feedback_id,
        order_id=order.order_id,
        case_id=order.case_id,
        bank=order.bank,
        result=feedback.result,
        balance_before_fen=feedback.balance_before_fen,
        stopped_fen=feedback.stopped_fen,
        executed_at=feedback.executed_at,
        expires_at=feedback.expires_at,
        received_at=now,
        identity=identity.seal(json.dumps(sealed, ensure_ascii=False), str(feedback_id)),
    )


def contradicted(
    feedback: Feedback, order: OrderChanged, contradiction_id: UUID, now: datetime
) -> FeedbackContradicted:
    """Turn a second, different feedback into the event that asks a person to look."""
    return FeedbackContradicted(
        contradiction_id=contradiction_id,
        order_id=order.order_id,
        case_id=order.case_id,
        bank=order.bank,
        result=feedback.result,
        stopped_fen=feedback.stopped_fen,
        received_at=now,
    )
