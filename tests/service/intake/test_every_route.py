"""Every route of the banks' door × every credential × what is one's own, another's and absent."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from httpx2 import Response

from services.intake import app as intake_app
from services.intake import reference
from shared.access import BANK_KEY
from shared.outbox import new_id
from tests.parts import Door, a_key, a_report, bank, bank_key, officer_token
from tests.service.intake.counter import filed, ordered, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

Call = tuple[str, str]
SUCCESS = {"result": "success", "stopped_fen": 9_800_000, "executed_at": "2026-11-22T09:31:00+08:00"}
BODIES: dict[Call, Callable[[], dict[str, Any] | None]] = {
    ("POST", "/v1/reports"): a_report,
    ("POST", "/v1/reports/batch"): lambda: {**a_report(), "idempotency_key": a_key()},
    ("GET", "/v1/reports/{report_id}"): lambda: None,
    ("POST", "/v1/reports/{report_id}/disposition"): lambda: {"outcome": "cancelled", "amount_fen": 100},
    ("GET", "/v1/orders"): lambda: None,
    ("GET", "/v1/orders/{order_id}"): lambda: None,
    ("POST", "/v1/orders/{order_id}/feedback"): lambda: SUCCESS,
}
"""Each route, with a body that is accepted."""

ROUTES = sorted(BODIES)
ABOUT_SOMETHING = [route for route in ROUTES if "{" in route[1]]
OWNER = {"{report_id}": "ICBC", "{order_id}": "CCB"}


def described() -> set[Call]:
    """Every operation that the door describes of itself."""
    paths = intake_app.build().openapi()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


async def thing(door: Door, path: str) -> UUID:
    """Put there what a call is about: a report of ICBC's, or an order for CCB."""
    if "{order_id}" in path:
        return (await ordered(door)).order_id
    return await filed(door)


async def call(door: Door, route: Call, about: UUID, headers: dict[str, str]) -> Response:
    """Call a route about something."""
    method, path = route
    body = BODIES[route]()
    kind = "application/x-ndjson" if path.endswith("batch") else "application/json"
    told = {"Idempotency-Key": a_key(), "Content-Type": kind, **headers}
    content = None if body is None else json.dumps(body).encode()
    for name in OWNER:
        path = path.replace(name, str(about))
    return await door.client.request(method, path, content=content, headers=told)


def shown(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


NOBODY = {
    "no credential": ({}, 401),
    "a key of nobody": (shown(f"{BANK_KEY}nobody"), 401),
    "a revoked key": (shown(f"{BANK_KEY}gone"), 401),
    "an officer's token": (shown(officer_token("陆峥")), 403),
    "an auditor's token": (shown(officer_token("顾明川")), 403),
}
CHANGING = ("outbox",)
"""Tables whose rows change by themselves as what they hold is sent off: of these the rows are counted."""


async def everything(door: Door) -> dict[str, object]:
    """What every table holds, as a digest of its rows; when banks reported last is noted by itself."""
    held: dict[str, object] = {}
    digest = "md5(coalesce(string_agg(line, '|' order by line), ''))"
    for row in await door.rows("select tablename as name from pg_tables where schemaname = 'intake'"):
        what = "count(*)" if row["name"] in CHANGING else digest
        held[row["name"]] = await door.pool.fetchval(
            f"select {what} from (select (to_jsonb(t) - 'last_report_at')::text as line from {row['name']} t) t"
        )
    return held


async def test_every_route_that_the_door_describes_is_tried_here() -> None:
    assert described() == set(BODIES)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
@pytest.mark.parametrize("who", NOBODY)
async def test_whoever_is_no_bank_is_refused_everywhere(shared: Door, route: Call, who: str) -> None:
    async with shared.pool.acquire() as connection:
        await reference.add_key(connection, "ICBC", f"{BANK_KEY}gone", "gone")
        await reference.revoke_keys(connection, "ICBC", "gone")
    about, (headers, status) = await thing(shared, route[1]), NOBODY[who]
    before = await everything(shared)
    answers = [await call(shared, route, one, headers) for one in (about, new_id())]
    problem_of(answers[0], status)
    assert answers[0].content == answers[1].content
    assert await everything(shared) == before


@pytest.mark.parametrize("route", ABOUT_SOMETHING, ids=" ".join)
@pytest.mark.parametrize("code", ["ICBC", "CCB", "ABC"])
async def test_what_is_anothers_looks_as_if_it_were_not_there(shared: Door, route: Call, code: str) -> None:
    [owner] = [one for name, one in OWNER.items() if name in route[1]]
    about = await thing(shared, route[1])
    before = await everything(shared)
    answer, nothing = [await call(shared, route, one, shown(bank_key(code))) for one in (about, new_id())]
    problem_of(nothing, 404)
    if code == owner:
        assert answer.is_success, answer.text
        return
    assert (answer.status_code, answer.content) == (nothing.status_code, nothing.content)
    names = [[name for name, _ in one.headers.multi_items()] for one in (answer, nothing)]
    assert names[0] == names[1]
    assert await everything(shared) == before


async def test_the_list_of_orders_shows_nothing_that_is_anothers(shared: Door) -> None:
    order = await ordered(shared)
    for code, sees in (("CCB", True), ("ICBC", False)):
        answer = await shared.client.get("/v1/orders", params={"limit": 500}, headers=bank(code))
        assert (str(order.order_id) in answer.text) is sees


@pytest.mark.parametrize("path", sorted({path for _, path in BODIES}))
async def test_a_method_that_a_path_does_not_know_is_refused_and_changes_nothing(shared: Door, path: str) -> None:
    known = {method for method, one in BODIES if one == path}
    where = path.replace("{report_id}", str(new_id())).replace("{order_id}", str(new_id()))
    before = await everything(shared)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
        answer = await shared.client.request(method, where, headers=bank())
        assert answer.status_code in (404, 405, 422), (method, path)  # GET /v1/reports/batch asks for a report
        problem_of(answer, answer.status_code)
    assert await everything(shared) == before
