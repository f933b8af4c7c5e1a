"""What OpenAPI needs to know of routes that read their bodies themselves, to be strict about them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.protocol import PROBLEM_JSON

REFERENCE = "#/components/schemas/{model}"

Document = dict[str, Any]


class Problem(BaseModel):
    """A problem document (RFC 9457): which request was refused, why, and which fields are to blame.

    `existing_id` is that of the report which has the reference already, `rule` names the rule of law or of the house
    that an order would break.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None
    existing_id: str | None = None
    rule: str | None = None


ANYWHERE: Final = (408, 431, 500)
"""Refusals that any request may meet: sent too slowly, a head that is too large, a failure on our side."""

HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": "Which scheme to use."},
    429: {"Retry-After": "Seconds until it is worth while to try again."},
    503: {"Retry-After": "Seconds until it is worth while to try again."},
}
"""The headers that come with a refusal, always."""

DETAILS: Final[Mapping[int, str]] = {
    400: "The body is not JSON as RFC 8259 means it: it breaks off or goes wrong at line 1, column 2.",
    401: "Show a valid credential: 'Authorization: Bearer …'. It may be missing, unknown, revoked or expired.",
    403: "This credential belongs to the other door; use one of this door's.",
    404: "There is no such case.",
    408: "The request cannot be read: Request Timeout.",
    413: "The body is larger than 65536 bytes; send fewer or shorter records.",
    415: "Send the body as application/json.",
    429: "This bank may post 5000 reports a second; send this again in 1 s.",
    431: "The request cannot be read: Request Header Fields Too Large.",
    500: "Something failed on our side; it is logged.",
    503: "The service cannot store anything just now; send the same request again shortly.",
}
"""What such refusals say; 409 and 422 depend on the call."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where an answer leads: to the call `target`, whose path takes `parameters` from the request or the answer."""

    source: str
    status: int
    target: str
    parameters: Mapping[str, str]


def body_of(model: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    """Describe the body a route reads for itself."""
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def header_of(meaning: str) -> dict[str, Any]:
    """Describe a header that an answer always has."""
    return {"description": meaning, "required": True, "schema": {"type": "string"}}


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals a route may answer with, those that any request may meet included."""
    schema = {"$ref": REFERENCE.format(model="Problem")}
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, *ANYWHERE}):
        one: dict[str, Any] = {"description": HTTPStatus(status).phrase, "content": {PROBLEM_JSON: {"schema": schema}}}
        if status in HEADERS:
            one["headers"] = {name: header_of(meaning) for name, meaning in HEADERS[status].items()}
        described[status] = one
    return described


def named(route: APIRoute) -> str:
    """Return a call's `operationId`: its function's name, so that it stays the same whatever the path."""
    return route.name


def describe(
    app: FastAPI,
    bodies: Sequence[type[BaseModel]],
    credential: str,
    *,
    links: Sequence[Link] = (),
    examples: Path | None = None,
) -> None:
    """Complete the OpenAPI document: the bodies' schemas, the bearer credential, links between calls, examples.

    `examples` names a file with the examples of each call: `{call: {"request": {name: example}, "answers": {status:
    {name: example}}}}`, and under `shared` those that calls refer to.
    """

    def openapi() -> Document:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            models: list[type[BaseModel]] = [*bodies, Problem]
            _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=REFERENCE)
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(definitions["$defs"])
            components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "description": credential}}
            document["security"] = [{"bearer": []}]
            _leave_out_what_never_comes(document)
            _link(document, links)
            _exemplify(document, json.loads(examples.read_text(encoding="utf-8")) if examples else {})
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def calls_of(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Yield each call of a document: its method, its path, and what is said of it."""
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            yield method, path, call


def _leave_out_what_never_comes(document: Document) -> None:
    """Take out FastAPI's own 422: every refusal of ours is a problem document."""
    for _, _, call in calls_of(document):
        if "application/json" in call["responses"].get("422", {}).get("content", {}):
            del call["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _link(document: Document, links: Sequence[Link]) -> None:
    by_id = {call["operationId"]: call for _, _, call in calls_of(document)}
    for link in links:
        answer = by_id[link.source]["responses"][str(link.status)]
        told = {"operationId": link.target, "parameters": dict(link.parameters)}
        answer.setdefault("links", {})[link.target] = told


def _exemplify(document: Document, examples: Document) -> None:
    """Put in the examples of each call, and where a refusal has none of its own, what it says anywhere."""
    refusals = {f"refusal_{status}": _refusal(status) for status in DETAILS}
    document["components"]["examples"] = refusals | examples.get("shared", {})
    for _, _, call in calls_of(document):
        own = examples.get(call["operationId"], {})
        for content in call.get("requestBody", {}).get("content", {}).values():
            content["examples"] = own.get("request", {})
        for status, answer in call["responses"].items():
            for media_type, content in answer.get("content", {}).items():
                refused = {"refused": {"$ref": f"#/components/examples/refusal_{status}"}}
                usual = refused if media_type == PROBLEM_JSON and int(status) in DETAILS else {}
                found = own.get("answers", {}).get(status, usual)
                content["examples"] = usual if "text/html" in answer["content"] and usual else found


def _refusal(status: int) -> Document:
    phrase = HTTPStatus(status).phrase
    value = {"type": "about:blank", "title": phrase, "status": status, "detail": DETAILS[status]}
    return {"summary": phrase, "value": value}
