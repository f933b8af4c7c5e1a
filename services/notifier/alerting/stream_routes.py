"""The police's door, the alert stream: parse, delegate, answer."""

import socket
from contextlib import aclosing
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from services.notifier.alerting.reader import Reader
from services.notifier.alerting.stream import AlertStream
from services.notifier.door import DoorOf
from shared.errors import FieldProblem, invalid
from shared.openapi import problems_of
from shared.protocol import transport_of

SEND_BUFFER_BYTES: Final = 128 * 1024
"""What the system holds for a reader who takes nothing; by itself it would grow to megabytes before that shows."""

POSITION_HEADER: Final[dict[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The `id` of the last event that was read: the stream goes on after it.",
    "schema": {"type": "string", "pattern": "^[0-9]{0,18}$"},
}
EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Each event of the stream; `data` is an alert as JSON.",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]{1,18}$"},
        "event": {"const": "alert"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
EVENTS: Final[dict[str, Any]] = {"text/event-stream": {"schema": EVENT}}


def add(router: APIRouter, door_of: DoorOf) -> None:
    """Add the routes."""

    @router.get(
        "/alerts/stream",
        response_class=StreamingResponse,
        openapi_extra={"parameters": [POSITION_HEADER]},
        responses={
            200: {"description": "Alerts as they come, until hung up", "content": EVENTS},
            **problems_of(401, 403, 422, 503),
        },
    )
    async def get_stream(request: Request) -> Response:
        """Follow the alerts of the officer's subtree; `Last-Event-ID` takes up where a connection broke off."""
        door = door_of()
        officer = await door.officers.holder(request)
        after = _position(request)
        transport = transport_of(request)
        reader = await door.stream.reader(officer.path, door.officers.shown(request), after, transport.abort)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return _Following(door.stream, reader)


def _position(request: Request) -> int | None:
    last = request.headers.get("last-event-id", "")
    if last and not (last.isascii() and last.isdigit() and len(last) < 19):  # noqa: PLR2004 - a bigint
        raise invalid(FieldProblem(field="Last-Event-ID", message="is not an id of this stream"))
    return int(last) if last else None


class _Following(StreamingResponse):
    """Sends what a reader is to read, and lets it go as soon as the connection is gone."""

    def __init__(self, stream: AlertStream, reader: Reader) -> None:
        self._following = stream.follow(reader)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._following, media_type="text/event-stream", headers=headers)

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._following):
            await super().stream_response(send)
