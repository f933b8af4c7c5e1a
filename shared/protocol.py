"""HTTP on the wire: how large and how slow a request may be before the application sees any of it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

from starlette.applications import Starlette
from starlette.requests import Request
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from shared.errors import Refusal

HEAD_LIMIT_BYTES: Final = 16 * 1024
PROBLEM_JSON: Final = "application/problem+json"
TRANSPORT: Final = "lanjie.transport"


def _uncounted(_status: int) -> None:
    """Count nothing."""


def transport_of(request: Request) -> asyncio.Transport:
    """Return the connection a request came over: for a long answer that may have to hang up in its midst."""
    return cast("asyncio.Transport", request.scope["extensions"][TRANSPORT]["transport"])


@dataclass(frozen=True, slots=True)
class Edge:
    """How long a request's head and body may take, and who counts the refusals, by status."""

    head_seconds: float = 10.0
    body_seconds: float = 10.0
    counted: Callable[[int], object] = _uncounted


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on a head's size and on the time a client may leave us waiting.

    A body that the application reads is timed where it is read. The timer here runs whenever a client owes us
    something else: the head of a request, or the rest of a body whose request is answered already.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._edge: Edge = cast("Starlette", config.app).state.edge
        self._head_bytes = 0
        self._in_body = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            self._start_timer()
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_body and self._head_bytes > HEAD_LIMIT_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._start_timer()
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}

    def on_headers_complete(self) -> None:
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_LIMIT_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            raise _RefusedError
        super().on_headers_complete()
        self._stop_timer()
        self._in_body = True

    def on_message_complete(self) -> None:
        self._in_body = False
        self._head_bytes = 0
        self._stop_timer()
        if self.cycle.response_complete:
            self._start_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._in_body and self.cycle.response_complete:
            self._start_timer()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words, which we replace
        self._refuse(HTTPStatus.BAD_REQUEST)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self._edge.head_seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: HTTPStatus) -> None:
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self._is_our_turn():
            self._edge.counted(status.value)
            body = json.dumps(Refusal(status, f"The request cannot be read: {status.phrase}.").document()).encode()
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {PROBLEM_JSON}\r\n"
            self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _is_our_turn(self) -> bool:
        """Whether what we write now is read as the answer to the request that is refused, not to an earlier one."""
        if self.cycle is None or self.pipeline:
            return not self.pipeline
        return not self.cycle.response_started if self._in_body else self.cycle.response_complete


class _RefusedError(Exception):
    """Ends the parser's work on a request that is refused; the rest of it is not looked at."""
