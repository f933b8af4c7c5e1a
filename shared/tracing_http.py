"""Requests and their traces: each belongs to one, and its answer names it."""

import time
from typing import Final

from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import tracing
from shared.tracing import Kind, Place, Span

HEADER: Final = b"traceparent"
UNTOLD: Final = ("/health/", "/metrics")
"""Asked every few seconds by machines: no stage of anything."""
SERVER_FAULT: Final = 500
FRAMEWORKS_OWN: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own telemetry stays off, whatever the environment says: it would export what clients sent."""


class TracedRequests:
    """Takes a request's traceparent or begins a trace, and answers with it; records a span where spans are taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = tracing.accepted([value.decode("latin-1") for name, value in scope["headers"] if name == HEADER])
        if tracing.on():
            await self._recorded(scope, receive, send, given)
            return
        place = Place(given or tracing.begun())
        tracing.HERE.set(place)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (HEADER, place.traceparent.encode())]
            await send(message)

        await self._app(scope, receive, answer)

    async def _recorded(self, scope: Scope, receive: Receive, send: Send, given: str) -> None:
        began = time.time_ns()
        place = Place(tracing.child(given) if given else tracing.begun(), given)
        tracing.HERE.set(place)
        status, streams = SERVER_FAULT, False

        async def answer(message: Message) -> None:
            nonlocal status, streams
            if message["type"] == "http.response.start":
                status = message["status"]
                streams = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
                message["headers"] = [*message["headers"], (HEADER, place.traceparent.encode())]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            if tracing.wanted(place.traceparent) and not streams and not scope["path"].startswith(UNTOLD):
                tracing.record(_span(scope, place, began, status))


def _span(scope: Scope, place: Place, began: int, status: int) -> Span:
    """Return the span of a request. Its name is the route's pattern: ids, and links that open a door, are in none."""
    method, route = scope["method"], _route(scope)
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "http.response.status_code": status,
        "url.scheme": scope["scheme"],
    }
    if route:
        attributes["http.route"] = route
    error = str(status) if status >= SERVER_FAULT else ""
    name = f"{method} {route}" if route else method
    return Span(
        name,
        Kind.SERVER,
        place.traceparent,
        place.parent,
        began,
        time.time_ns(),
        attributes,
        place.links,
        error,
    )


def _route(scope: Scope) -> str:
    """Return the pattern that the path fits; a route of Starlette's own is not named, but has no parameters here."""
    if "endpoint" not in scope:
        return ""
    if route := scope.get("route"):
        return str(route.path)
    return "" if scope.get("path_params") else str(scope["path"])
