"""Refusals: what a door says when it says no (RFC 9457 problem documents)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from pydantic import BaseModel


class FieldProblem(BaseModel):
    """One field that cannot be accepted, and why."""

    field: str
    message: str


class Refusal(Exception):
    """A request that is refused; nothing of it was stored.

    `detail` is one sentence that says what is wrong and what to do. It never holds personal data or
    internals, since it is logged and sent.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})

    def document(self) -> dict[str, object]:
        """Return the problem document."""
        body: dict[str, object] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [error.model_dump() for error in self.errors]
        return body | self.extensions


def not_found(what: str) -> Refusal:
    """Refuse what is absent or somebody else's: the two look the same."""
    return Refusal(HTTPStatus.NOT_FOUND, f"There is no such {what}.")


def invalid(*errors: FieldProblem) -> Refusal:
    """Refuse a body that can be read but not accepted."""
    fields = ", ".join(dict.fromkeys(error.field for error in errors))
    return Refusal(HTTPStatus(422), f"Not accepted: {fields}.", errors=errors)


def conflict(detail: str, *, existing_id: str | None = None, rule: str | None = None) -> Refusal:
    """Refuse what contradicts the state of things; `rule` names the rule it would break."""
    named = {"existing_id": existing_id, "rule": rule}
    return Refusal(HTTPStatus.CONFLICT, detail, extensions={name: value for name, value in named.items() if value})
