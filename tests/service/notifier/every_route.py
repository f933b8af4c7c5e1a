"""Every route of the police's door with a body that is accepted, and what it is about, put there anew."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from uuid import UUID

from httpx2 import Response

from services.notifier import app as notifier_app
from shared.outbox import new_id
from tests.parts import Door, bank_key, officer_token
from tests.service.notifier.builders import a_verdict, an_account
from tests.service.notifier.police import a_case, case_of, done, ordered

Call = tuple[str, str]
"""The method and the path of a route, as the OpenAPI document names it."""

MUCH: Final = 100_000_001
DECIDING: Final = ("officer", "approver", "supervisor")
ROLES: Final = (*DECIDING, "auditor")
OWN_UNIT, FOREIGN_UNIT = "SZ-LH", "SZ-FT"


@cache
def _document() -> dict[str, Any]:
    return notifier_app.build().openapi()


def described() -> dict[Call, dict[str, Any]]:
    """Every operation that the door describes of itself."""
    paths = _document()["paths"]
    return {(method.upper(), path): one for path, methods in paths.items() for method, one in methods.items()}


def schema_of(route: Call) -> dict[str, Any]:
    """What the door says of a route's body."""
    [said] = described()[route]["requestBody"]["content"].values()
    schema: dict[str, Any] = _document()["components"]["schemas"][said["schema"]["$ref"].rpartition("/")[2]]
    return schema


@dataclass(frozen=True, slots=True)
class Thing:
    """What a call is about: `id` stands in the path. A body may name the rest."""

    id: str
    report_id: str
    other_case_id: str


CASES: Final = "/v1/cases/{case_id}"
BODIES: Final[dict[Call, Callable[[Thing], dict[str, Any] | None]]] = {
    ("GET", "/v1/cases"): lambda _: None,
    ("GET", CASES): lambda _: None,
    ("GET", "/v1/alerts/stream"): lambda _: None,
    ("GET", "/v1/branches/unfounded"): lambda _: None,
    ("GET", "/v1/duty"): lambda _: None,
    ("POST", f"{CASES}/acknowledge"): lambda _: None,
    ("POST", f"{CASES}/take-over"): lambda _: {"reason": "值班民警外出"},
    ("POST", f"{CASES}/transfer"): lambda _: {"unit": "SZ-LH-DM", "reason": "事主在东门报案"},
    ("POST", f"{CASES}/link"): lambda on: {"case_id": on.other_case_id, "reason": "同一话术"},
    ("POST", f"{CASES}/split"): lambda on: {"report_ids": [on.report_id], "reason": "两起案件"},
    ("POST", f"{CASES}/notes"): lambda _: {"text": "事主已到所"},
    ("POST", f"{CASES}/attachments"): lambda _: {"reference": "cctv/42.mp4", "title": "监控", "sha256": "9f" * 32},
    ("POST", f"{CASES}/reopen"): lambda _: {"reason": "发现新线索"},
    ("POST", f"{CASES}/objections"): lambda _: {"by": "持卡人", "text": "这是我的工资卡"},
    ("POST", f"{CASES}/orders"): lambda _: {"kind": "stop", "amount_fen": 100, "reason": "x", "remark": "x"},
    ("POST", f"{CASES}/close"): lambda _: {"finding": "unfounded", "scam_type": "romance", "reason": "已排除"},
    ("POST", f"{CASES}/unmask"): lambda _: {"reason": "回访"},
    ("POST", "/v1/orders/{order_id}/approve"): lambda _: None,
    ("POST", "/v1/orders/{order_id}/reject"): lambda _: {"reason": "依据不足"},
    ("POST", "/v1/objections/{objection_id}/answer"): lambda _: {"decision": "upheld", "text": "已核实"},
    ("POST", "/v1/duty/hand-over"): lambda _: {"to": "陆峥", "note": "两起未结"},
}
"""Each route that asks for a credential, with the body to send."""

LINKS: Final = {("GET", "/a/{token}"), ("POST", "/a/{token}")}
"""Routes where the address is the credential."""

EXPECTED: Final[dict[tuple[str, str], int]] = {
    ("/v1/orders/{order_id}/approve", "officer"): 403,
    ("/v1/orders/{order_id}/reject", "officer"): 403,
    ("/v1/duty/hand-over", "officer"): 409,
    ("/v1/duty/hand-over", "approver"): 409,
    ("/v1/duty/hand-over", "supervisor"): 409,
}
"""What is refused even to those who see it: for the role, or since the caller is not on duty."""


async def let_in(door: Door) -> None:
    """Let in an officer of every role in two units that have nothing to do with each other, and one who has left."""
    for unit in (OWN_UNIT, FOREIGN_UNIT):
        for role in ROLES:
            await _add(door, f"{unit} {role}", unit, role)
    await _add(door, "left", OWN_UNIT, "supervisor")
    await door.pool.execute("update officer set revoked_at = now() where name = 'left'")


async def _add(door: Door, name: str, unit: str, role: str) -> None:
    await door.pool.execute(
        "insert into officer (id, name, unit, role, token_sha256) values ($1, $2, $3, $4, $5)",
        new_id(),
        name,
        unit,
        role,
        hashlib.sha256(officer_token(name).encode()).digest(),
    )


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def officer(role: str, unit: str = OWN_UNIT) -> dict[str, str]:
    """What an officer who was let in shows."""
    return bearer(officer_token(f"{unit} {role}"))


NOBODY: Final = {
    "no credential": ({}, 401),
    "a token of nobody": (bearer(officer_token("nobody")), 401),
    "a revoked token": (bearer(officer_token("left")), 401),
    "a bank's key": (bearer(bank_key("ICBC")), 403),
}


async def thing(door: Door, path: str) -> Thing:
    """Put there what a call is about, in sight of one unit and not of the other; its deadlines lie far off."""
    account = an_account()
    verdicts = [a_verdict(account, amount_fen=MUCH), a_verdict(account)]
    case_id, other = await a_case(door, *verdicts), await a_case(door, a_verdict(an_account()))
    if "{order_id}" in path:
        subject = (await ordered(door, case_id))["id"]
    elif "{objection_id}" in path:
        subject = (await done(door, case_id, "objections", by="持卡人", text="x"))["objections"][0]["id"]
    else:
        subject = case_id
    assert (await case_of(door, case_id))["unit"] == "SZ-LH-CZ"
    await door.pool.execute("update deadline set due_at = now() + interval '1 day' where state = 'running'")
    return Thing(subject, str(verdicts[1].report.report_id), other)


def absent(on: Thing) -> Thing:
    """The same, and not there."""
    return Thing(str(UUID(int=7)), on.report_id, on.other_case_id)


def address(path: str, on: Thing) -> str:
    """A route's path about something."""
    for name in ("{case_id}", "{order_id}", "{objection_id}"):
        path = path.replace(name, on.id)
    return path


async def call(door: Door, route: Call, on: Thing, who: dict[str, str], body: Any = ...) -> Response:  # noqa: ANN401
    """Call a route about something; a stream is hung up on as soon as it begins."""
    method, path = route
    said = BODIES[route](on) if body is ... else body
    async with door.client.stream(method, address(path, on), headers=who, json=said) as answer:
        if not answer.headers["content-type"].startswith("text/event-stream"):
            await answer.aread()
        return answer


TABLES: Final = "select tablename from pg_tables where schemaname = 'notifier' order by 1"
CHANGING: Final = ("outbox", "figure")
"""Tables whose rows change by themselves, as what they hold is sent off or counted anew: of these rows are counted."""


async def everything(door: Door) -> dict[str, object]:
    """What every table holds, as a digest of its rows."""
    held: dict[str, object] = {}
    for row in await door.rows(TABLES):
        name = row["tablename"]
        what = "count(*)" if name in CHANGING else "md5(coalesce(string_agg(t::text, '|' order by t::text), ''))"
        held[name] = await door.pool.fetchval(f"select {what} from {name} t")
    return held


def is_a_problem(answer: Response, status: int) -> bool:
    """Whether a refusal is a problem document of its status."""
    document = answer.json()
    return (
        answer.status_code == status
        and answer.headers["content-type"] == "application/problem+json"
        and document["status"] == status
        and bool(document["title"] and document["detail"])
    )
