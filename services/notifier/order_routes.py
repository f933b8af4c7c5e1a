"""The police's door, orders: parse, delegate, answer."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.notifier import ordering
from services.notifier.answers import OrderView, order_view
from services.notifier.door import DoorOf, decider, now
from services.notifier.requests import Ordering
from shared.http import parse, read_body
from shared.openapi import body_of, problems_of

BODIES: Final[tuple[type[Any], ...]] = (Ordering,)
"""The bodies these routes read for themselves."""


def add(router: APIRouter, door_of: DoorOf) -> None:
    """Add the routes."""

    @router.post(
        "/cases/{case_id}/orders",
        status_code=201,
        response_model=OrderView,
        openapi_extra=body_of(Ordering),
        responses=problems_of(400, 401, 403, 404, 409, 413, 415, 422, 503),
    )
    async def post_order(request: Request, case_id: UUID) -> Response:
        """Order the payee's bank to stop the account, or to release it."""
        door = door_of()
        officer = await decider(door, request)
        asked = parse(Ordering, await read_body(request, "application/json"))
        given, rows = await ordering.give_order(door.office, officer, case_id, asked, now())
        door.relay.publish_soon(rows)
        door.metrics.orders.labels(given.kind.value, given.bank).inc()
        return JSONResponse(order_view(given).model_dump(mode="json"), 201, {"Location": f"/v1/cases/{case_id}"})
