"""The police's door, cases: parse, delegate, answer."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.notifier import people_store
from services.notifier.alerting import stream_routes
from services.notifier.cases import casework_routes, decisions, inbox_store
from services.notifier.cases.answers import CaseLine, CaseView, line_of
from services.notifier.cases.requests import Closing, Moment, Unmasking
from services.notifier.door import DoorOf, counted, decider, heard, shown_case
from services.notifier.duty import duty_routes
from services.notifier.orders import order_routes
from shared.events import CaseStatus
from shared.openapi import body_of, problems_of

log = structlog.get_logger()


def routes(door_of: DoorOf) -> APIRouter:
    """Return the routes; `door_of()` is the open door once the service runs."""
    router = APIRouter(prefix="/v1", tags=["police"])
    _add_looks(router, door_of)
    _add_decisions(router, door_of)
    casework_routes.add(router, door_of)
    order_routes.add(router, door_of)
    duty_routes.add(router, door_of)
    stream_routes.add(router, door_of)
    return router


def _add_looks(router: APIRouter, door_of: DoorOf) -> None:
    @router.get("/cases", response_model=dict[str, list[CaseLine]], responses=problems_of(401, 403, 422, 503))
    async def get_cases(
        request: Request,
        status: CaseStatus | None = None,
        since: Moment | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """Return the inbox of the officer's subtree, the latest change first; `since` is a time of change."""
        door = door_of()
        officer = await door.officers.holder(request)
        rows = await inbox_store.inbox(door.office.pool, officer.path, status and status.value, since, limit)
        return JSONResponse({"cases": [line_of(row).model_dump(mode="json") for row in rows]})

    @router.get("/cases/{case_id}", response_model=CaseView, responses=problems_of(401, 403, 404, 422, 503))
    async def get_case(request: Request, case_id: UUID) -> Response:
        """Return one case with its reports, orders and timeline, masked."""
        door = door_of()
        officer = await door.officers.holder(request)
        return JSONResponse((await shown_case(door, officer, case_id)).model_dump(mode="json"))


def _add_decisions(router: APIRouter, door_of: DoorOf) -> None:
    @router.post(
        "/cases/{case_id}/acknowledge", response_model=CaseView, responses=problems_of(401, 403, 404, 422, 503)
    )
    async def post_acknowledge(request: Request, case_id: UUID) -> Response:
        """Take a case on: the clock stops. Twice is once."""
        door = door_of()
        officer = await decider(door, request)
        seconds, rows = await decisions.acknowledge(door.office, officer, case_id, await door.now())
        door.relay.publish_soon(rows)
        view = await shown_case(door, officer, case_id)
        if seconds is not None:
            log.info("case_acknowledged", case_id=str(case_id), seconds=round(seconds, 3))
            in_time = view.acknowledged_at is not None and view.acknowledged_at <= view.acknowledge_by
            door.metrics.count_acknowledgement(view.in_charge, seconds, in_time=in_time)
        return JSONResponse(view.model_dump(mode="json"))

    @router.post(
        "/cases/{case_id}/close",
        response_model=CaseView,
        openapi_extra=body_of(Closing),
        responses=problems_of(400, 401, 403, 404, 409, 413, 415, 422, 503),
    )
    async def post_close(request: Request, case_id: UUID) -> Response:
        """Close a case with a finding. Unfounded: what is held is released at once."""
        door = door_of()
        officer, closing = await heard(door, request, Closing)
        decisions.refuse_unknown_scam_type(closing.scam_type, await people_store.scam_types(door.office.pool))
        with counted(door):
            rows = await decisions.close(door.office, officer, case_id, closing, await door.now())
        door.relay.publish_soon(rows)
        view = await shown_case(door, officer, case_id)
        if rows:
            door.metrics.count_closed(view.unit, closing.finding.value, [(one.bank, one.unit) for one in view.reports])
        return JSONResponse(view.model_dump(mode="json"))

    @router.post(
        "/cases/{case_id}/unmask",
        response_model=dict[str, list[dict[str, Any]]],
        openapi_extra=body_of(Unmasking),
        responses=problems_of(400, 401, 403, 404, 413, 415, 422, 503),
    )
    async def post_unmask(request: Request, case_id: UUID) -> Response:
        """Return names and numbers in clear. Who looked and why is recorded."""
        door = door_of()
        officer, asked = await heard(door, request, Unmasking)
        people = await decisions.unmask(door.office, officer, case_id, asked.reason)
        return JSONResponse(people)


def bodies() -> Sequence[type[Any]]:
    """Return the models of the bodies these routes read for themselves."""
    return (*casework_routes.BODIES, *order_routes.BODIES, *duty_routes.BODIES, Closing, Unmasking)
