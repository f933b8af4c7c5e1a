"""The police's door: parse, delegate, answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from services.notifier import decisions, inbox_store, ordering, people_store
from services.notifier.answers import CaseLine, CaseView, OrderView, case_view, line_of, order_view
from services.notifier.metrics import Metrics
from services.notifier.office import Office
from services.notifier.people_store import Officer
from services.notifier.requests import Closing, Moment, Ordering, Unmasking
from services.notifier.stream import AlertStream
from shared.access import Doorkeeper
from shared.errors import FieldProblem, Refusal, invalid, not_found
from shared.events import CaseStatus
from shared.http import parse, read_body
from shared.openapi import body_of, problems_of
from shared.outbox import Relay
from shared.privacy import Seal

DECIDES: Final = ("officer", "approver", "supervisor")


@dataclass(frozen=True, slots=True)
class Door:
    """What the routes need."""

    office: Office
    relay: Relay
    officers: Doorkeeper[Officer]
    narrative: Seal
    stream: AlertStream
    metrics: Metrics


def _now() -> datetime:
    return datetime.now(UTC)


async def _decider(door: Door, request: Request) -> Officer:
    officer = await door.officers.holder(request)
    if officer.role not in DECIDES:
        raise Refusal(HTTPStatus.FORBIDDEN, f"The role {officer.role} may look and not decide.")
    return officer


async def _case(door: Door, officer: Officer, case_id: UUID) -> CaseView:
    row = await inbox_store.case_seen_by(door.office.pool, case_id, officer.path)
    if row is None:
        raise not_found("case")
    return case_view(row, await inbox_store.case_parts(door.office.pool, case_id), door.office.identity, door.narrative)


async def _still_in(door: Door, request: Request, path: str) -> bool:
    try:
        officer = await door.officers.holder(request)
    except Refusal:
        return False
    return officer.path == path


def routes(door_of: Callable[[], Door]) -> APIRouter:
    """Return the routes; `door_of()` is the open door once the service runs."""
    router = APIRouter(prefix="/v1", tags=["police"])
    _add_looks(router, door_of)
    _add_decisions(router, door_of)
    return router


def _add_looks(router: APIRouter, door_of: Callable[[], Door]) -> None:
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
        return JSONResponse((await _case(door, officer, case_id)).model_dump(mode="json"))

    @router.get(
        "/alerts/stream",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}, **problems_of(401, 403, 422, 503)},
    )
    async def get_stream(request: Request) -> Response:
        """Follow the alerts of the officer's subtree; `Last-Event-ID` takes up where a connection broke off."""
        door = door_of()
        officer = await door.officers.holder(request)
        last = request.headers.get("last-event-id", "")
        if last and not (last.isascii() and last.isdigit() and len(last) < 19):  # noqa: PLR2004 - a bigint
            raise invalid(FieldProblem(field="Last-Event-ID", message="is not an id of this stream"))
        return StreamingResponse(
            door.stream.follow(
                officer.path, int(last) if last else None, lambda: _still_in(door, request, officer.path)
            ),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )


def _add_decisions(router: APIRouter, door_of: Callable[[], Door]) -> None:
    @router.post(
        "/cases/{case_id}/acknowledge", response_model=CaseView, responses=problems_of(401, 403, 404, 422, 503)
    )
    async def post_acknowledge(request: Request, case_id: UUID) -> Response:
        """Take a case on: the clock stops. Twice is once."""
        door = door_of()
        officer = await _decider(door, request)
        seconds, rows = await decisions.acknowledge(door.office, officer, case_id, _now())
        door.relay.publish_soon(rows)
        view = await _case(door, officer, case_id)
        if seconds is not None:
            in_time = view.acknowledged_at is not None and view.acknowledged_at <= view.acknowledge_by
            door.metrics.acknowledgements.labels(view.unit, str(in_time).lower()).inc()
            door.metrics.stage.labels("alert_to_acknowledged").observe(seconds)
        return JSONResponse(view.model_dump(mode="json"))

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
        officer = await _decider(door, request)
        asked = parse(Ordering, await read_body(request, "application/json"))
        given, rows = await ordering.give_order(door.office, officer, case_id, asked, _now())
        door.relay.publish_soon(rows)
        door.metrics.orders.labels(given.kind.value, given.bank).inc()
        return JSONResponse(order_view(given).model_dump(mode="json"), 201, {"Location": f"/v1/cases/{case_id}"})

    @router.post(
        "/cases/{case_id}/close",
        response_model=CaseView,
        openapi_extra=body_of(Closing),
        responses=problems_of(400, 401, 403, 404, 409, 413, 415, 422, 503),
    )
    async def post_close(request: Request, case_id: UUID) -> Response:
        """Close a case with a finding. Unfounded: what is held is released at once."""
        door = door_of()
        officer = await _decider(door, request)
        closing = parse(Closing, await read_body(request, "application/json"))
        decisions.refuse_unknown_scam_type(closing.scam_type, await people_store.scam_types(door.office.pool))
        rows = await decisions.close(door.office, officer, case_id, closing, _now())
        door.relay.publish_soon(rows)
        view = await _case(door, officer, case_id)
        if rows:
            door.metrics.closed.labels(view.unit, closing.finding.value).inc()
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
        officer = await _decider(door, request)
        asked = parse(Unmasking, await read_body(request, "application/json"))
        people = await decisions.unmask(door.office, officer, case_id, asked.reason)
        return JSONResponse({"reports": people})


def bodies() -> Sequence[type[Any]]:
    """Return the models of the bodies these routes read for themselves."""
    return (Ordering, Closing, Unmasking)
