"""The edge of a door: limits, strict JSON, bearer credentials, refusals as problem documents."""

import asyncio
import gc
import json
import os
import signal
from collections.abc import Sequence
from http import HTTPStatus
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

import structlog
import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path

from shared.errors import FieldProblem, Refusal, invalid
from shared.postgres import TRANSIENT
from shared.protocol import PROBLEM_JSON, Edge, LimitedProtocol
from shared.tracing import current
from shared.tracing_http import TracedRequests

log = structlog.get_logger()

BODY_LIMIT_BYTES: Final = 64 * 1024
MOST_FIELDS_NAMED: Final = 50
GRACEFUL_SHUTDOWN_SECONDS: Final = 3
MOST_CONNECTIONS: Final = 2000
GARBAGE_AFTER_OBJECTS: Final = 20_000

T = TypeVar("T", bound=BaseModel)


async def read_body(request: Request, *content_types: str, limit: int = BODY_LIMIT_BYTES) -> bytes:
    """Read the whole body within its bounds; refuse a wrong type, any encoding, too much, and too slow."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in content_types:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send the body as {' or '.join(content_types)}.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body without a content encoding.")
    if int(request.headers.get("content-length") or 0) > limit:
        raise _too_large(limit)
    edge: Edge = request.app.state.edge
    body = bytearray()
    try:
        async with asyncio.timeout(edge.body_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise Refusal(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The body did not arrive within {edge.body_seconds:g} s; send it again.",
            headers={"Connection": "close"},
        ) from None
    return bytes(body)


def _too_large(limit: int) -> Refusal:
    """Refuse without hanging up.

    A client in the midst of sending would see a broken connection, and come again, instead of the answer. The
    protocol bounds how long the rest of the body is discarded.
    """
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {limit} bytes; send fewer or shorter records."
    )


def strict_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON as RFC 8259 means it: UTF-8, unique names, finite numbers, whole characters, one value.

    Raises a 400 refusal that says what is wrong, without quoting the body.
    """
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise _bad_json("it is not valid UTF-8, or holds half of a character") from None
    except RecursionError:
        raise _bad_json("it is nested too deeply") from None
    except _BadJsonError as error:
        raise _bad_json(str(error)) from None
    except json.JSONDecodeError as error:
        raise _bad_json(f"it breaks off or goes wrong at line {error.lineno}, column {error.colno}") from None
    except ValueError:
        raise _bad_json("it holds a number with too many digits") from None
    return value


class _BadJsonError(Exception):
    """Raised inside the parser's hooks."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _BadJsonError("a name stands twice in one object")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise _BadJsonError("NaN and Infinity are not JSON")


def _bad_json(why: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, f"The body is not JSON as RFC 8259 means it: {why}.")


def parse(model: type[T], body: bytes) -> T:
    """Parse a strict JSON body into `model`; refuse with the fields that are wrong, never quoting a value."""
    strict_json(body)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise _bad_json("the parser cannot read it") from None
        raise invalid(*field_problems(error.errors(include_url=False, include_input=False))) from None


def field_problems(errors: Sequence[Any]) -> list[FieldProblem]:
    """Name each field that is wrong (the first fifty), and why, without its value."""
    return [
        FieldProblem(
            field=".".join(str(part) for part in error["loc"]) or "body",
            message=error["msg"].removeprefix("Value error, "),
        )
        for error in errors[:MOST_FIELDS_NAMED]
    ]


def problem(refusal: Refusal) -> Response:
    """Render a refusal."""
    return JSONResponse(refusal.document(), refusal.status.value, headers=refusal.headers, media_type=PROBLEM_JSON)


def unavailable() -> Refusal:
    """Refuse because a part we need is away; nothing was accepted."""
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The service cannot store anything just now; send the same request again shortly.",
        headers={"Retry-After": "2"},
    )


def install_refusals(app: FastAPI, edge: Edge | None = None) -> None:
    """Answer every failure with a problem document that shows no internals, and count it."""
    app.state.edge = edge or Edge()
    app.add_middleware(TracedRequests)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _misrouted)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(ClientDisconnect, _gone)
    for passing in TRANSIENT:
        app.add_exception_handler(passing, _away)
    app.add_exception_handler(Exception, _unexpected)


def _answer(request: Request, refusal: Refusal) -> Response:
    edge: Edge = request.app.state.edge
    edge.counted(refusal.status.value)
    return problem(refusal)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _answer(request, error)


async def _misrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        methods = _described(request) or headers["Allow"].split(", ")
        headers["Allow"] = ", ".join(sorted(methods))  # Starlette names them in no order
    return _answer(request, Refusal(status, f"{status.phrase}.", headers=headers))


def _described(request: Request) -> list[str]:
    """Return every method that is described of an address; Starlette tells those of the first route alone."""
    described = request.app.openapi()["paths"].items()
    path = request.scope["path"]
    methods = [calls for template, calls in described if compile_path(template)[0].fullmatch(path)]
    return [method.upper() for method in methods[0]] if methods else []


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _answer(request, invalid(*field_problems(error.errors())))


async def _away(request: Request, error: Exception) -> Response:
    log.warning("part_away", error=type(error).__name__)
    return _answer(request, unavailable())


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected_failure", exc_info=error)
    headers = {"traceparent": current()}  # this answer goes past what names the trace in all others
    why = "Something failed on our side; it is logged."
    return _answer(request, Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, why, headers=headers))


class Server(uvicorn.Server):
    """Ends with code 0 when it is told to stop; uvicorn's own would end by the signal, as if it had been killed."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: at once while parts are still waited for and nothing is in hand, else when that is finished."""
        del frame
        if not self.started:
            os._exit(0)
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def server_of(app: FastAPI, host: str, port: int) -> uvicorn.Server:
    """Return the server of an app that has its refusals installed; `app.state.stopping` tells long answers to end."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=LimitedProtocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
        limit_concurrency=MOST_CONNECTIONS,
    )
    server = Server(config)
    app.state.stopping = lambda: server.should_exit
    return server


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until told to stop; finish what is in hand first."""
    spare_the_collector()
    server_of(app, host, port).run()


def spare_the_collector() -> None:
    """Collect garbage less often, and not what was imported.

    A batch makes thousands of objects that live until it is committed and are in no circle; by default Python looks
    through all of them, and at times through all that was ever imported, dozens of times a batch.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER_OBJECTS, 20, 20)
