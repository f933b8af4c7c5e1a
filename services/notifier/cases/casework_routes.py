"""The police's door, work on a case as a whole: parse, delegate, answer with the case."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.notifier.cases import casework, casework_store, decisions, rights
from services.notifier.cases.answers import CaseView
from services.notifier.cases.casework_requests import (
    Answering,
    Attaching,
    Linking,
    Noting,
    Objecting,
    Reopening,
    Splitting,
    TakingOver,
    Transferring,
)
from services.notifier.cases.requests import Moment
from services.notifier.door import Door, DoorOf, counted, heard, shown_case
from services.notifier.people_store import Officer
from shared.openapi import body_of, header_of, problems_of

BODIES: Final[tuple[type[Any], ...]] = (
    Answering,
    Attaching,
    Linking,
    Noting,
    Objecting,
    Reopening,
    Splitting,
    TakingOver,
    Transferring,
)
"""The bodies these routes read for themselves."""

PROBLEMS: Final = problems_of(400, 401, 403, 404, 409, 413, 415, 422, 503)
CREATED: Final = {201: {"headers": {"Location": header_of("Where the case is shown.")}}, **PROBLEMS}


class UnfoundedView(BaseModel):
    """A branch whose reports were found unfounded: of its `reports` in closed cases, how many, which share."""

    branch: str
    name: str | None
    bank: str
    unit: str
    reports: int
    unfounded: int
    share: float
    last_unfounded_at: datetime


def add(router: APIRouter, door_of: DoorOf) -> None:
    """Add the routes."""
    _add_hands(router, door_of)
    _add_parts(router, door_of)
    _add_file(router, door_of)
    _add_rights(router, door_of)


async def _shown(door: Door, officer: Officer, case_id: UUID) -> Response:
    return JSONResponse((await shown_case(door, officer, case_id)).model_dump(mode="json"))


def _add_hands(router: APIRouter, door_of: DoorOf) -> None:
    @router.post(
        "/cases/{case_id}/take-over", response_model=CaseView, openapi_extra=body_of(TakingOver), responses=PROBLEMS
    )
    async def post_take_over(request: Request, case_id: UUID) -> Response:
        """Become responsible for a case; an open one is acknowledged by that. Twice is once."""
        door = door_of()
        officer, asked = await heard(door, request, TakingOver)
        with counted(door):
            seconds, rows = await decisions.take_over(door.office, officer, case_id, asked.reason, await door.now())
        door.relay.publish_soon(rows)
        view = await shown_case(door, officer, case_id)
        if seconds is not None:
            in_time = view.acknowledged_at is not None and view.acknowledged_at <= view.acknowledge_by
            door.metrics.count_acknowledgement(view.in_charge, seconds, in_time=in_time)
        return JSONResponse(view.model_dump(mode="json"))

    @router.post(
        "/cases/{case_id}/transfer", response_model=CaseView, openapi_extra=body_of(Transferring), responses=PROBLEMS
    )
    async def post_transfer(request: Request, case_id: UUID) -> Response:
        """Put another unit in charge: it is alerted and acknowledges. Who was responsible stays so until then."""
        door = door_of()
        officer, asked = await heard(door, request, Transferring)
        with counted(door):
            rows = await casework.transfer(door.office, officer, case_id, asked, await door.now())
        door.relay.publish_soon(rows)
        await door.alerted()
        return await _shown(door, officer, case_id)

    @router.post(
        "/cases/{case_id}/reopen", response_model=CaseView, openapi_extra=body_of(Reopening), responses=PROBLEMS
    )
    async def post_reopen(request: Request, case_id: UUID) -> Response:
        """Take the finding of a closed case back, also from the rules. Twice is once."""
        door = door_of()
        officer, asked = await heard(door, request, Reopening)
        with counted(door):
            rows = await decisions.reopen(door.office, officer, case_id, asked.reason, await door.now())
        door.relay.publish_soon(rows)
        return await _shown(door, officer, case_id)


def _add_parts(router: APIRouter, door_of: DoorOf) -> None:
    @router.post("/cases/{case_id}/link", response_model=CaseView, openapi_extra=body_of(Linking), responses=PROBLEMS)
    async def post_link(request: Request, case_id: UUID) -> Response:
        """Link a case to another one; both show it. Twice is once."""
        door = door_of()
        officer, asked = await heard(door, request, Linking)
        await casework.link(door.office, officer, case_id, asked, await door.now())
        return await _shown(door, officer, case_id)

    @router.post(
        "/cases/{case_id}/split",
        status_code=201,
        response_model=CaseView,
        openapi_extra=body_of(Splitting),
        responses=CREATED,
    )
    async def post_split(request: Request, case_id: UUID) -> Response:
        """Take reports out of a case into one of their own; the answer is the new case."""
        door = door_of()
        officer, asked = await heard(door, request, Splitting)
        with counted(door):
            new_case_id, rows = await casework.split(door.office, officer, case_id, asked, await door.now())
        door.relay.publish_soon(rows)
        view = await shown_case(door, officer, new_case_id)
        return JSONResponse(view.model_dump(mode="json"), 201, {"Location": f"/v1/cases/{new_case_id}"})


def _add_file(router: APIRouter, door_of: DoorOf) -> None:
    @router.post("/cases/{case_id}/notes", response_model=CaseView, openapi_extra=body_of(Noting), responses=PROBLEMS)
    async def post_note(request: Request, case_id: UUID) -> Response:
        """Write something down about a case, for its officers."""
        door = door_of()
        officer, asked = await heard(door, request, Noting)
        await casework.note(door.office, officer, case_id, asked.text, await door.now())
        return await _shown(door, officer, case_id)

    @router.post(
        "/cases/{case_id}/attachments", response_model=CaseView, openapi_extra=body_of(Attaching), responses=PROBLEMS
    )
    async def post_attachment(request: Request, case_id: UUID) -> Response:
        """Note what lies elsewhere and belongs to a case; nothing is fetched. The same reference twice is once."""
        door = door_of()
        officer, asked = await heard(door, request, Attaching)
        await casework.attach(door.office, officer, case_id, asked, await door.now())
        return await _shown(door, officer, case_id)


def _add_rights(router: APIRouter, door_of: DoorOf) -> None:
    @router.post(
        "/cases/{case_id}/objections",
        status_code=201,
        response_model=CaseView,
        openapi_extra=body_of(Objecting),
        responses=CREATED,
    )
    async def post_objection(request: Request, case_id: UUID) -> Response:
        """Record that an account holder objects; the police answer in time."""
        door = door_of()
        officer, asked = await heard(door, request, Objecting)
        await rights.object_to(door.office, officer, case_id, asked, await door.now())
        view = await shown_case(door, officer, case_id)
        return JSONResponse(view.model_dump(mode="json"), 201, {"Location": f"/v1/cases/{case_id}"})

    @router.post(
        "/objections/{objection_id}/answer",
        response_model=CaseView,
        openapi_extra=body_of(Answering),
        responses=PROBLEMS,
    )
    async def post_answer(request: Request, objection_id: UUID) -> Response:
        """Answer an objection once. Upheld: what the case holds is released at once."""
        door = door_of()
        officer, asked = await heard(door, request, Answering)
        with counted(door):
            case_id, rows = await rights.answer(door.office, officer, objection_id, asked, await door.now())
        door.relay.publish_soon(rows)
        return await _shown(door, officer, case_id)

    @router.get(
        "/branches/unfounded",
        response_model=dict[str, list[UnfoundedView]],
        responses=problems_of(401, 403, 422, 503),
    )
    async def get_unfounded(
        request: Request, since: Moment | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> Response:
        """Return the subtree's branches with reports found unfounded, most first; `since` is a time of closing."""
        door = door_of()
        officer = await door.officers.holder(request)
        rows = await casework_store.unfounded_by_branch(door.office.pool, officer.path, since, limit)
        branches = [UnfoundedView(share=round(row["unfounded"] / row["reports"], 4), **dict(row)) for row in rows]
        return JSONResponse({"branches": [one.model_dump(mode="json") for one in branches]})
