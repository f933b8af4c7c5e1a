"""What OpenAPI needs to know of routes that read their bodies themselves, to be strict about them."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

REFERENCE = "#/components/schemas/{model}"


class Problem(BaseModel):
    """A problem document (RFC 9457): which request was refused, why, and which fields are to blame."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None
    existing_id: str | None = None


def body_of(model: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    """Describe the body a route reads for itself."""
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals a route may answer with."""
    schema = {"$ref": REFERENCE.format(model="Problem")}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status in statuses
    }


def describe(app: FastAPI, bodies: Sequence[type[BaseModel]], credential: str) -> None:
    """Complete the OpenAPI document with the bodies' schemas and the bearer credential."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            models: list[type[BaseModel]] = [*bodies, Problem]
            _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=REFERENCE)
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(definitions["$defs"])
            components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "description": credential}}
            document["security"] = [{"bearer": []}]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
