"""Bodies that cannot be accepted, at every route that takes one: the status says what is wrong, nothing is stored."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.parts import DatabaseServer, Door, notifier_door
from tests.service.notifier.every_route import (
    BODIES,
    CASES,
    LINKS,
    Call,
    Thing,
    address,
    call,
    described,
    everything,
    is_a_problem,
    let_in,
    officer,
    schema_of,
    thing,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORDERS = ("POST", f"{CASES}/orders")
SOME = Thing("00000000-0000-0000-0000-000000000007", *["00000000-0000-0000-0000-000000000008"] * 2)
TAKING = sorted(route for route, one in described().items() if "requestBody" in one and route not in LINKS)
JSON = "application/json"
MORE = {  # what the body of an order may hold besides
    "emergency_level": "02",
    "application_type": "02",
    "co_officer": "某",
    "bank_stopped_at": "2026-11-22T09:31:00+08:00",
    "payee_name": "某",
    "payee_account": "6217000000000002026",
    "transfer_at": "2026-11-22T09:31:00+08:00",
    "term_months": 6,
    "major": True,
    "scope": "amount",
    "includes_proceeds": True,
    "notice_number": "1",
    **dict.fromkeys(("onward_id", "corrects", "original_application_id", "report_id"), SOME.id),
}


def good(route: Call) -> dict[str, Any]:
    """A body that is accepted, with every field that the route knows."""
    body = BODIES[route](SOME)
    assert body is not None
    return body | (MORE if route == ORDERS else {})


def spoilt(route: Call) -> Iterator[tuple[str, bytes, int]]:
    """Name, body and status of what is no JSON, or none of ours."""
    whole = json.dumps(good(route), ensure_ascii=False).encode()
    first = next(iter(good(route)))
    twice = whole[:-1] + f', "{first}": "x"}}'.encode()
    yield "empty", b"", 400
    yield "truncated", whole[:-1], 400
    yield "cut in a string", whole[: whole.rindex(b'"')], 400
    yield "something after it", whole + b" x", 400
    yield "invalid UTF-8", whole[:-1] + b', "more": "\xff"}', 400
    yield "a name twice", twice, 400
    yield "NaN", whole[:-1] + b', "more": NaN}', 400
    yield "Infinity", whole[:-1] + b', "more": -Infinity}', 400
    yield "half a character", whole[:-1] + b', "more": "\\ud800"}', 400
    yield "deep", b"[" * 30_000, 400
    yield "many digits", whole[:-1] + b', "more": 1' + b"0" * 5_000 + b"}", 400
    yield "an array", b"[" + whole + b"]", 422
    yield "a string", b'"x"', 422
    yield "null", b"null", 422
    yield "an unknown field", whole[:-1] + b', "more": 1}', 422
    yield "too large", whole[:-1] + b', "more": "' + b"x" * 65_536 + b'"}', 413


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(server: DatabaseServer) -> AsyncIterator[Door]:
    async with notifier_door(await server.clone("notifier")) as opened:
        await let_in(opened)
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def things(door: Door) -> dict[Call, Thing]:
    """What each route is about; refusals leave it as it is, so one will do."""
    return {route: await thing(door, route[1]) for route in TAKING}


async def send(door: Door, route: Call, on: Thing, body: bytes, content_type: str = JSON, **headers: str) -> Any:  # noqa: ANN401
    told = {**officer("supervisor"), "Content-Type": content_type, **headers}
    return await door.client.request(route[0], address(route[1], on), content=body, headers=told)


async def test_every_route_that_takes_a_body_has_one_here_that_is_accepted() -> None:
    assert sorted(route for route, body in BODIES.items() if body(SOME) is not None) == TAKING
    for route in TAKING:
        assert set(good(route)) == set(schema_of(route)["properties"]), route


@pytest.mark.parametrize("route", TAKING, ids=" ".join)
async def test_what_is_no_json_of_ours_is_refused_and_leaves_no_trace(
    door: Door, things: dict[Call, Thing], route: Call
) -> None:
    before = await everything(door)
    for name, body, status in spoilt(route):
        answer = await send(door, route, things[route], body)
        assert is_a_problem(answer, status), (name, answer.status_code, answer.text)
    assert await everything(door) == before


@pytest.mark.parametrize("route", TAKING, ids=" ".join)
async def test_another_content_type_or_encoding_is_refused_and_leaves_no_trace(
    door: Door, things: dict[Call, Thing], route: Call
) -> None:
    body, on = json.dumps(BODIES[route](things[route])).encode(), things[route]
    before = await everything(door)
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application"):
        assert is_a_problem(await send(door, route, on, body, content_type), 415), content_type
    assert is_a_problem(await send(door, route, on, body, **{"Content-Encoding": "gzip"}), 415)
    assert await everything(door) == before


def wrong(value: object) -> list[object]:
    """Values of other types than a field's."""
    values: list[object] = [7, "x", True, 1.5, {}, [], None]
    kept = [one for one in values if type(one) is not type(value)]
    return [*kept, [value], {"value": value}]


@pytest.mark.parametrize("route", TAKING, ids=" ".join)
async def test_a_value_of_another_type_is_refused_by_its_field_and_leaves_no_trace(
    door: Door, things: dict[Call, Thing], route: Call
) -> None:
    before = await everything(door)
    for field, value in good(route).items():
        for bad in wrong(value):
            if bad is None and {"type": "null"} in schema_of(route)["properties"][field].get("anyOf", []):
                continue  # the same as leaving it out
            answer = await send(door, route, things[route], json.dumps({**good(route), field: bad}).encode())
            assert is_a_problem(answer, 422), (field, bad, answer.text)
            named = {error["field"].partition(".")[0] for error in answer.json()["errors"]}
            assert named == {field}, (field, bad, named)
    assert await everything(door) == before


@pytest.mark.parametrize("route", TAKING, ids=" ".join)
@pytest.mark.parametrize("text", ["a\0b", "长" * 5_000], ids=["the character U+0000", "5,000 characters"])
async def test_a_text_that_cannot_be_kept_is_refused_by_its_field_and_leaves_no_trace(
    door: Door, things: dict[Call, Thing], route: Call, text: str
) -> None:
    before = await everything(door)
    for field, value in good(route).items():
        if not isinstance(value, str):
            continue
        answer = await send(door, route, things[route], json.dumps({**good(route), field: text}).encode())
        assert is_a_problem(answer, 422), (field, answer.text)
        assert {error["field"] for error in answer.json()["errors"]} == {field}
        assert text not in answer.text
    assert await everything(door) == before


@pytest.mark.parametrize("route", TAKING, ids=" ".join)
async def test_a_field_that_is_needed_and_left_out_is_missed_by_name(
    door: Door, things: dict[Call, Thing], route: Call
) -> None:
    before = await everything(door)
    for field in schema_of(route).get("required", []):
        body = {name: value for name, value in (BODIES[route](SOME) or {}).items() if name != field}
        answer = await send(door, route, things[route], json.dumps(body).encode())
        assert is_a_problem(answer, 422), (field, answer.text)
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await everything(door) == before


async def test_what_is_sent_where_no_body_is_expected_is_not_looked_at(door: Door) -> None:
    for route in sorted(set(BODIES) - set(TAKING)):
        if route[0] == "POST":
            on = await thing(door, route[1])
            assert (await call(door, route, on, officer("approver"), {"more": 1})).status_code == 200
