"""Every route × every role × what is one's own, another's and absent: nobody sees or changes what is not theirs."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from tests.parts import DatabaseServer, Door, notifier_door
from tests.service.notifier.builders import CLEAR_TEXTS
from tests.service.notifier.every_route import (
    BODIES,
    CASES,
    DECIDING,
    EXPECTED,
    FOREIGN_UNIT,
    LINKS,
    NOBODY,
    ROLES,
    Call,
    Thing,
    absent,
    address,
    call,
    described,
    everything,
    is_a_problem,
    let_in,
    officer,
    thing,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROUTES = sorted(BODIES)
ABOUT_SOMETHING = [route for route in ROUTES if "{" in route[1]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(server: DatabaseServer) -> AsyncIterator[Door]:
    async with notifier_door(await server.clone("notifier")) as opened:
        await let_in(opened)
        yield opened


async def test_every_route_that_the_door_describes_is_tried_here() -> None:
    assert set(described()) == set(BODIES) | LINKS


async def test_only_the_links_do_without_a_credential() -> None:
    assert {route for route, told in described().items() if told.get("security") == []} == LINKS


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
@pytest.mark.parametrize("who", NOBODY)
async def test_whoever_is_no_officer_is_refused_everywhere(door: Door, route: Call, who: str) -> None:
    on = await thing(door, route[1])
    headers, status = NOBODY[who]
    before = await everything(door)
    answers = [await call(door, route, one, headers) for one in (on, absent(on))]
    assert is_a_problem(answers[0], status), answers[0].text
    assert answers[0].content == answers[1].content
    assert await everything(door) == before


@pytest.mark.parametrize("route", ABOUT_SOMETHING, ids=" ".join)
@pytest.mark.parametrize("role", ROLES)
async def test_what_is_anothers_looks_as_if_it_were_not_there(door: Door, route: Call, role: str) -> None:
    on, who = await thing(door, route[1]), officer(role, FOREIGN_UNIT)
    before = await everything(door)
    foreign, nothing = await call(door, route, on, who), await call(door, route, absent(on), who)
    status = 403 if route[0] == "POST" and role == "auditor" else 404
    assert is_a_problem(foreign, status), foreign.text
    assert (foreign.status_code, foreign.content) == (nothing.status_code, nothing.content)
    names = [[name for name, _ in answer.headers.multi_items()] for answer in (foreign, nothing)]
    assert names[0] == names[1]
    assert on.id not in foreign.text
    assert await everything(door) == before


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_an_auditor_looks_and_never_decides(door: Door, route: Call) -> None:
    on = await thing(door, route[1])
    before = await everything(door)
    answer = await call(door, route, on, officer("auditor"))
    if route[0] == "GET":
        assert answer.status_code == 200
    else:
        assert is_a_problem(answer, 403)
        assert "auditor" in answer.json()["detail"]
    assert await everything(door) == before


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
@pytest.mark.parametrize("role", DECIDING)
async def test_who_decides_does_it_with_what_is_their_own(door: Door, route: Call, role: str) -> None:
    on = await thing(door, route[1])
    before = await everything(door)
    answer = await call(door, route, on, officer(role))
    expected = EXPECTED.get((route[1], role))
    if expected is None:
        assert answer.status_code in (200, 201), answer.text
    else:
        assert is_a_problem(answer, expected), answer.text
    after = await everything(door)
    changed = {table for table in after if after[table] != before[table]}
    if route[0] == "GET" or route[1].endswith("reopen"):  # there it is open: once is never
        assert changed == set()
    elif expected is not None:
        assert changed <= {"audit"}, "that it was tried is on record"
    else:
        assert changed
    if not route[1].endswith("unmask") and not answer.headers["content-type"].startswith("text/event-stream"):
        assert [text for text in CLEAR_TEXTS if text in answer.text] == []


@pytest.mark.parametrize("role", ROLES)
async def test_lists_show_nothing_that_is_anothers(door: Door, role: str) -> None:
    on = await thing(door, CASES)
    closed = await call(door, ("POST", f"{CASES}/close"), on, officer("officer"))
    assert closed.status_code == 200
    for path in ("/v1/cases", "/v1/branches/unfounded", "/v1/duty"):
        own = await door.client.get(path, headers=officer(role))
        assert ("SZ-LH" in own.text, own.status_code) == (True, 200)
        foreign = await door.client.get(path, headers=officer(role, FOREIGN_UNIT))
        assert ("SZ-LH" in foreign.text, foreign.status_code) == (False, 200), foreign.text


@pytest.mark.parametrize("role", ROLES)
async def test_a_unit_that_is_anothers_looks_as_if_it_were_not_there(door: Door, role: str) -> None:
    who = officer(role, FOREIGN_UNIT)
    foreign, nothing = [
        await door.client.get("/v1/duty", params={"unit": unit}, headers=who) for unit in ("SZ-LH", "SZ-NOWHERE")
    ]
    assert is_a_problem(foreign, 404)
    assert foreign.content == nothing.content


NAMED = [
    ("link", lambda there: {"case_id": there, "reason": "x"}, 404),
    ("split", lambda there: {"report_ids": [there], "reason": "x"}, 422),
    ("orders", lambda there: {"kind": "stop", "onward_id": there}, 422),
    ("orders", lambda there: {"kind": "stop", "corrects": there, "payee_name": "某"}, 422),
    ("orders", lambda there: {"kind": "stop", "original_application_id": there}, 422),
    ("orders", lambda there: {"kind": "release_stop", "reason": "x", "original_application_id": there}, 422),
]


@pytest.mark.parametrize(("step", "body", "status"), NAMED)
@pytest.mark.parametrize("role", DECIDING)
async def test_what_a_body_names_of_another_unit_looks_as_if_it_were_not_there(
    door: Door, step: str, body: object, status: int, role: str
) -> None:
    assert callable(body)
    mine, theirs = await thing(door, CASES), await thing(door, "/v1/orders/{order_id}")
    await door.pool.execute(
        "update case_unit set path = '/SZ/SZ-FT/SZ-FT-HQB/', unit = 'SZ-FT-HQB' where case_id = $1", UUID(mine.id)
    )
    there = {"link": theirs.other_case_id, "split": theirs.report_id}.get(step, theirs.id)
    before = await everything(door)
    foreign, nothing = [
        await call(door, ("POST", f"{CASES}/{step}"), mine, officer(role, FOREIGN_UNIT), body(one))
        for one in (there, str(UUID(int=7)))
    ]
    assert is_a_problem(foreign, status), foreign.text
    assert foreign.content == nothing.content
    assert await everything(door) == before


@pytest.mark.parametrize("path", sorted({path for _, path in BODIES}))
async def test_a_method_that_a_path_does_not_know_is_refused_and_changes_nothing(door: Door, path: str) -> None:
    on = Thing(str(UUID(int=7)), "", "")
    known = {method for method, one in BODIES if one == path}
    before = await everything(door)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
        answer = await door.client.request(method, address(path, on), headers=officer("supervisor"))
        assert is_a_problem(answer, 405), (method, answer.text)
    assert await everything(door) == before
