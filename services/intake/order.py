"""Orders as their bank sees them, and the bank's feedback: shapes and checks, no I/O."""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.intake.identity import Account, Code, FreeText, Name
from services.intake.report import CLOCKS_MAY_DIFFER, Moment, Strict
from shared.errors import FieldProblem
from shared.events import (
    AccountType,
    Checked,
    Failure,
    FeedbackContradicted,
    FeedbackReceived,
    FeedbackResult,
    OrderChanged,
    OrderKind,
)
from shared.money import Fen, PositiveFen
from shared.privacy import Seal

MOST_ONWARD_ACCOUNTS = 100
BANK_FIRST = timedelta(hours=24)
"""In an emergency a bank may stop first and be ordered to within a day."""
OVERSTATED = "is more than the order says"
DONE_BY: Final = {
    "stopped_fen": (OrderKind.STOP, OrderKind.EXTEND_STOP),
    "frozen_fen": (OrderKind.FREEZE, OrderKind.EXTEND_FREEZE),
    "returned_fen": (OrderKind.RETURN_FUNDS,),
}
"""Which amount says how much of an order was done, by the order's kind."""


def _absent(value: object) -> bool:
    """What was not said leaves no trace in the digest, so that feedback from before these fields still repeats it."""
    return not isinstance(value, int) and not value


class OnwardAccount(Strict):
    """Where money has moved on to: the next account, how much of it, and when. Without a type it is a person's."""

    bank_code: Code
    account: Account
    account_type: Annotated[AccountType | None, Field(exclude_if=_absent)] = None
    name: Name | None = None
    amount_fen: PositiveFen
    transferred_at: Moment


class Feedback(Strict):
    """What the bank did with an order. Amounts are in fen.

    `stopped_fen` is for a stop or its extension, `frozen_fen` for a freeze or its renewal, `returned_fen` for a
    return. After a failure: `mismatch` names the facts that differ from the bank's books, `failure_cause` is
    technical (a system was down), `remark` is the business's (no such account, already empty).
    """

    result: FeedbackResult
    balance_before_fen: Fen | None = None
    stopped_fen: Fen | None = None
    frozen_fen: Annotated[Fen | None, Field(exclude_if=_absent)] = None
    returned_fen: Annotated[Fen | None, Field(exclude_if=_absent)] = None
    mismatch: Annotated[tuple[Checked, ...], Field(max_length=len(Checked), exclude_if=_absent)] = ()
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
    account_level: int
    acts_on: UUID | None
    term_months: int | None
    scope: str | None
    includes_proceeds: bool | None
    notice_number: str | None
    unit: str
    officer: str
    officer_id: str | None = None
    co_officer: str | None = None
    reason: str
    remark: str
    traceparent: str | None = None


def shown(order: OrderChanged, identity: Seal, traceparent: str = "") -> BankOrder:
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
        traceparent=traceparent or None,
        starts_at=order.starts_at,
        expires_at=order.expires_at,
        account_level=order.account_level,
        acts_on=order.acts_on,
        term_months=order.term_months,
        scope=order.scope,
        includes_proceeds=order.includes_proceeds,
        notice_number=order.notice_number,
        unit=order.unit,
        **sealed,
    )


def problems(feedback: Feedback, order: OrderChanged, now: datetime) -> list[FieldProblem]:
    """Return what keeps a well-formed feedback from being accepted for this order."""
    found = _left_out(feedback, order)
    for field, kinds in DONE_BY.items():
        done = getattr(feedback, field) or 0
        if order.kind not in kinds and done:
            found.append(FieldProblem(field=field, message=f"has no place in the answer to {order.kind.value}"))
        elif done > order.amount_fen and not _takes_more(order):
            found.append(FieldProblem(field=field, message=OVERSTATED))
        if feedback.result is FeedbackResult.FAILURE and done:
            found.append(FieldProblem(field=field, message="must be absent or 0 when nothing was done"))
    if feedback.balance_before_fen is not None and (feedback.stopped_fen or 0) > feedback.balance_before_fen:
        found.append(FieldProblem(field="stopped_fen", message="is more than the balance before the stop"))
    if feedback.result is FeedbackResult.SUCCESS and feedback.mismatch:
        found.append(FieldProblem(field="mismatch", message="has no place in a success: a bank must not stop on it"))
    return found + _untimely(feedback, order, now)


def _untimely(feedback: Feedback, order: OrderChanged, now: datetime) -> list[FieldProblem]:
    """Only a stop may come before its order."""
    executed_at = feedback.executed_at
    if executed_at is None:
        return []
    found = []
    if order.kind is OrderKind.STOP and executed_at < order.ordered_at - BANK_FIRST:
        found.append(FieldProblem(field="executed_at", message="is more than 24 hours before the order"))
    if order.kind is not OrderKind.STOP and executed_at < order.ordered_at - CLOCKS_MAY_DIFFER:
        found.append(FieldProblem(field="executed_at", message="is before the order"))
    if executed_at > now + CLOCKS_MAY_DIFFER:
        found.append(FieldProblem(field="executed_at", message="is more than 5 minutes ahead of our clock"))
    if feedback.expires_at is not None and feedback.expires_at <= executed_at:
        found.append(FieldProblem(field="expires_at", message="is not after executed_at"))
    return found


def _takes_more(order: OrderChanged) -> bool:
    """A freeze of the whole account, or with its proceeds, may hold more than the amount."""
    return order.kind in DONE_BY["frozen_fen"] and (order.scope == "account" or bool(order.includes_proceeds))


def _left_out(feedback: Feedback, order: OrderChanged) -> list[FieldProblem]:
    found = []
    match feedback.result:
        case FeedbackResult.SUCCESS:
            if feedback.executed_at is None:
                message = "is needed after a success: the 48 hours run from that moment"
                found.append(FieldProblem(field="executed_at", message=message))
            for field, kinds in DONE_BY.items():
                if order.kind in kinds and getattr(feedback, field) is None:
                    found.append(FieldProblem(field=field, message="is needed: how much it was, in fen"))
        case FeedbackResult.FAILURE:
            if not (feedback.failure_cause or feedback.remark or feedback.mismatch):
                message = "is needed after a failure (technical), or else a remark (business) or a mismatch"
                found.append(FieldProblem(field="failure_cause", message=message))
    return found


def _failure(feedback: Feedback) -> Failure | None:
    """Tell why nothing was done: facts that do not match weigh most, since the police must correct them."""
    if feedback.result is FeedbackResult.SUCCESS:
        return None
    if feedback.mismatch:
        return Failure.MISMATCH
    return Failure.TECHNICAL if feedback.failure_cause else Failure.BUSINESS


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
        frozen_fen=feedback.frozen_fen,
        returned_fen=feedback.returned_fen,
        executed_at=feedback.executed_at,
        expires_at=feedback.expires_at,
        failure=_failure(feedback),
        mismatch=feedback.mismatch,
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
