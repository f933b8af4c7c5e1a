"""Cases, orders and feedback as facts, for tests of pure code."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from services.notifier.cases.case import Case
from services.notifier.orders.order import Order, Standing
from shared.events import CaseStatus, FeedbackReceived, FeedbackResult, OrderKind

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OFFICER = UUID("01999999-0000-7000-8000-00000000000f")


def a_case(**changes: Any) -> Case:  # noqa: ANN401
    facts: dict[str, Any] = {
        "id": uuid4(),
        "version": 1,
        "payee_token": "token",
        "payee_mask": {"name": "蒙**"},
        "scam_type": "romance",
        "unit": "SZ-LH-CZ",
        "bank": "ICBC",
        "status": CaseStatus.OPEN,
        "amount_fen": 1_000,
        "opened_at": NOON,
        "acknowledge_by": NOON + timedelta(seconds=60),
    }
    return Case(**(facts | changes))


def an_order(case: Case, **changes: Any) -> Order:  # noqa: ANN401
    facts: dict[str, Any] = {
        "id": uuid4(),
        "version": 1,
        "case_id": case.id,
        "payee_token": case.payee_token,
        "kind": OrderKind.STOP,
        "status": Standing.PENDING,
        "bank": "CCB",
        "amount_fen": 1_000,
        "covers": (),
        "original_application_id": None,
        "ordered_by": OFFICER,
        "ordered_at": NOON,
    }
    return Order(**(facts | changes))


def executed(case: Case, **changes: Any) -> Order:  # noqa: ANN401
    """A stop that holds the account since noon."""
    facts: dict[str, Any] = {
        "status": Standing.EXECUTED,
        "executed_at": NOON,
        "expires_at": NOON + timedelta(hours=48),
    }
    return an_order(case, **(facts | changes))


def feedback(order: Order, result: FeedbackResult = FeedbackResult.SUCCESS, **changes: Any) -> FeedbackReceived:  # noqa: ANN401
    facts: dict[str, Any] = {
        "feedback_id": uuid4(),
        "order_id": order.id,
        "case_id": order.case_id,
        "bank": order.bank,
        "result": result,
        "received_at": NOON + timedelta(minutes=3),
        "identity": "i1.sealed",
    }
    return FeedbackReceived(**(facts | changes))
