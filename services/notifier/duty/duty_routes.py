"""The police's door, duty: parse, delegate, answer."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.notifier.door import DoorOf, heard
from services.notifier.duty import duties
from services.notifier.duty.duty_requests import DutyView, HandedOver, HandOver
from shared.openapi import body_of, problems_of

BODIES: Final[tuple[type[Any], ...]] = (HandOver,)
"""The bodies these routes read for themselves."""

UnitCode = Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]*$")]


def add(router: APIRouter, door_of: DoorOf) -> None:
    """Add the routes."""

    @router.get("/duty", response_model=DutyView, responses=problems_of(401, 403, 404, 422, 503))
    async def get_duty(request: Request, unit: UnitCode = None) -> Response:
        """Return who is on duty in the officer's subtree, the next change, and the gaps of the next seven days."""
        door = door_of()
        officer = await door.officers.holder(request)
        view = await duties.shown(door.office.pool, officer, unit, await door.now())
        return JSONResponse(view.model_dump(mode="json"))

    @router.post(
        "/duty/hand-over",
        response_model=HandedOver,
        openapi_extra=body_of(HandOver),
        responses=problems_of(400, 401, 403, 409, 413, 415, 422, 503),
    )
    async def post_hand_over(request: Request) -> Response:
        """Hand the running shift over to another officer of the unit, until its end. Twice is once."""
        door = door_of()
        officer, asked = await heard(door, request, HandOver)
        done = await duties.hand_over(door.office, officer, asked, await door.now())
        await door.alerted()
        return JSONResponse(done.model_dump(mode="json"))
