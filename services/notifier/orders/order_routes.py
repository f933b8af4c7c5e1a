"""The police's door, orders: parse, delegate, answer."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.notifier.cases.requests import Ordering, Rejecting
from services.notifier.door import Door, DoorOf, counted, decider, heard
from services.notifier.orders import approving, order_store, ordering
from services.notifier.orders.order import Order, Standing
from services.notifier.orders.order_views import OrderView, order_view
from shared.openapi import body_of, header_of, problems_of
from shared.outbox import Outgoing

BODIES: Final[tuple[type[Any], ...]] = (Ordering, Rejecting)
"""The bodies these routes read for themselves."""

log = structlog.get_logger()

LOCATION: Final = {"Location": header_of("Where the order's case is shown.")}


def add(router: APIRouter, door_of: DoorOf) -> None:
    """Add the routes."""

    @router.post(
        "/cases/{case_id}/orders",
        status_code=201,
        response_model=OrderView,
        openapi_extra=body_of(Ordering),
        responses={201: {"headers": LOCATION}, **problems_of(400, 401, 403, 404, 409, 413, 415, 422, 503)},
    )
    async def post_order(request: Request, case_id: UUID) -> Response:
        """Order a bank to stop, extend, freeze, renew, free or return; above a limit a second officer approves."""
        door = door_of()
        officer, asked = await heard(door, request, Ordering)
        with counted(door):
            given, rows = await ordering.give_order(door.office, officer, case_id, asked, await door.now())
        door.metrics.orders.labels(given.kind.value, given.bank).inc()
        _tell("order_given", given)
        took = await order_store.acknowledged_to_ordered(door.office.pool, given.id)
        door.metrics.observe("acknowledged_to_ordered", took)
        if given.status is Standing.PROPOSED:
            await door.alerted()
        return await _shown(door, given, rows, 201)

    @router.post(
        "/orders/{order_id}/approve",
        response_model=OrderView,
        responses={200: {"headers": LOCATION}, **problems_of(401, 403, 404, 409, 422, 503)},
    )
    async def post_approve(request: Request, order_id: UUID) -> Response:
        """Approve another officer's order: it goes to the bank. Twice is once."""
        door = door_of()
        officer = await decider(door, request)
        with counted(door):
            after, rows = await approving.approve(door.office, officer, order_id, await door.now())
        if rows:
            door.metrics.approvals.labels(after.kind.value, "approved").inc()
            _tell("order_approved", after)
        return await _shown(door, after, rows, 200)

    @router.post(
        "/orders/{order_id}/reject",
        response_model=OrderView,
        openapi_extra=body_of(Rejecting),
        responses={200: {"headers": LOCATION}, **problems_of(400, 401, 403, 404, 409, 413, 415, 422, 503)},
    )
    async def post_reject(request: Request, order_id: UUID) -> Response:
        """Turn a proposed order down, or take one's own back."""
        door = door_of()
        officer, asked = await heard(door, request, Rejecting)
        with counted(door):
            after, rows = await approving.reject(door.office, officer, order_id, asked.reason, await door.now())
        door.metrics.approvals.labels(after.kind.value, "rejected").inc()
        return await _shown(door, after, rows, 200)


def _tell(what: str, order: Order) -> None:
    """Log a step of an order."""
    ids = {"order_id": str(order.id), "case_id": str(order.case_id)}
    log.info(what, kind=order.kind.value, status=order.status.value, **ids)


async def _shown(door: Door, order: Order, rows: Sequence[Outgoing], status: int) -> Response:
    """Publish what was promised, and answer with the order as it is stored."""
    door.relay.publish_soon(rows)
    view = order_view(await order_store.shown_order(door.office.pool, order.id), door.office.identity)
    location = {"Location": f"/v1/cases/{order.case_id}"}
    return JSONResponse(view.model_dump(mode="json"), status, location)
