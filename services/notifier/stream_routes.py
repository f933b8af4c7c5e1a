"""The police's door, the alert stream: parse, delegate, answer."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.notifier.door import Door, DoorOf
from shared.errors import FieldProblem, Refusal, invalid
from shared.openapi import problems_of


def add(router: APIRouter, door_of: DoorOf) -> None:
    """Add the routes."""

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


async def _still_in(door: Door, request: Request, path: str) -> bool:
    try:
        officer = await door.officers.holder(request)
    except Refusal:
        return False
    return officer.path == path
