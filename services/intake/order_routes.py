"""The banks' door, orders: parse, delegate, answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.intake import handlers, order
from services.intake.door import entered, now
from services.intake.order import BankOrder, Feedback, FeedbackReceipt
from shared.errors import Refusal
from shared.events import OrderStatus
from shared.http import parse, read_body
from shared.openapi import body_of, problems_of

router = APIRouter(prefix="/v1", tags=["banks"])


@router.get("/orders", response_model=dict[str, list[BankOrder]], responses=problems_of(401, 403, 422, 503))
async def get_orders(
    request: Request,
    status: OrderStatus | None = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Return the orders addressed to this bank, oldest first; `after` is the last id of the page before."""
    door, bank = await entered(request)
    found = await handlers.show_orders(door.pool, bank, status and status.value, after, limit)
    shown = [order.shown(one, door.privacy.identity, trace).model_dump(mode="json") for one, trace in found]
    return JSONResponse({"orders": shown})


@router.get("/orders/{order_id}", response_model=BankOrder, responses=problems_of(401, 403, 404, 422, 503))
async def get_order(request: Request, order_id: UUID) -> Response:
    """Return one order addressed to this bank."""
    door, bank = await entered(request)
    found, trace = await handlers.show_order(door.pool, bank, order_id)
    return JSONResponse(order.shown(found, door.privacy.identity, trace).model_dump(mode="json"))


@router.post(
    "/orders/{order_id}/feedback",
    response_model=FeedbackReceipt,
    openapi_extra=body_of(Feedback),
    responses=problems_of(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def post_feedback(request: Request, order_id: UUID) -> Response:
    """Say what was done with an order. The same again gets the same answer; another one is a 409."""
    door, bank = await entered(request)
    body = parse(Feedback, await read_body(request, "application/json"))
    keys = (door.privacy.tokens, door.privacy.identity)
    try:
        answer = await handlers.receive_feedback(door.pool, bank, order_id, body, keys, now())
    except Refusal as refusal:
        if any(error.message == order.OVERSTATED for error in refusal.errors):
            door.metrics.overstated.labels(bank).inc()
        raise
    door.relay.publish_soon(answer.rows)
    if answer.refusal:
        door.metrics.contradictions.labels(bank).inc()
        raise answer.refusal
    if answer.rows:
        door.metrics.feedback.labels(bank, body.result.value).inc()
    receipt = FeedbackReceipt(id=answer.feedback_id, order_id=order_id)
    return JSONResponse(receipt.model_dump(mode="json"))
