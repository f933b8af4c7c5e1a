"""A case that is closed and reopened before the bank has answered: what the police say last is what happens."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.parts import Door
from tests.service.notifier.builders import a_failure, a_success, hear
from tests.service.notifier.clockwork import fire
from tests.service.notifier.police import LUOHU, clocks, close, done, new_case, ordered, orders_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def uphold(door: Door, case_id: str) -> None:
    """An account holder objects, and is right."""
    said = (await done(door, case_id, "objections", by="持卡人", text="x"))["objections"][-1]
    answer = await door.client.post(
        f"/v1/objections/{said['id']}/answer", json={"decision": "upheld", "text": "x"}, headers=LUOHU
    )
    assert answer.status_code == 200


async def kinds(door: Door, case_id: str) -> list[str]:
    return [row["kind"] for row in await orders_of(door, case_id)]


async def test_a_stop_that_was_on_its_way_holds_once_the_case_is_reopened(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    await close(shared_notifier, case_id, "unfounded")
    case = await done(shared_notifier, case_id, "reopen", reason="点错")
    assert case["orders"][0]["unwanted"] is False
    await hear(shared_notifier.pool, a_success(stop))
    assert await kinds(shared_notifier, case_id) == ["stop"]


async def test_an_order_is_due_when_the_stop_that_was_on_its_way_fails_after_reopening(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    await close(shared_notifier, case_id, "unfounded")
    await done(shared_notifier, case_id, "reopen", reason="点错")
    await hear(shared_notifier.pool, a_failure(stop))
    assert await clocks(shared_notifier, case_id) == ["order"]


async def test_what_an_objection_has_set_free_stays_so_whatever_becomes_of_the_case(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    await uphold(shared_notifier, case_id)
    await close(shared_notifier, case_id, "unfounded")
    await done(shared_notifier, case_id, "reopen", reason="x")
    await hear(shared_notifier.pool, a_success(stop))
    assert await kinds(shared_notifier, case_id) == ["stop", "release_stop"]


async def test_a_stop_given_after_the_objection_is_none_of_its_business(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await uphold(shared_notifier, case_id)
    stop = await ordered(shared_notifier, case_id)
    await close(shared_notifier, case_id, "unfounded")
    await done(shared_notifier, case_id, "reopen", reason="x")
    await hear(shared_notifier.pool, a_success(stop))
    assert await kinds(shared_notifier, case_id) == ["stop"]


async def test_a_release_that_fails_after_reopening_is_no_longer_due(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    release = (await close(shared_notifier, case_id, "unfounded")).json()["orders"][-1]
    await done(shared_notifier, case_id, "reopen", reason="x")
    await hear(shared_notifier.pool, a_failure(release))
    assert "release" not in await clocks(shared_notifier, case_id)
    await fire(shared_notifier.pool, timedelta(hours=1))
    told = await shared_notifier.rows("select kind from timeline where case_id = $1", UUID(case_id))
    assert "release_overdue" not in {row["kind"] for row in told}


async def test_a_release_that_an_objection_asks_for_is_due_whatever_becomes_of_the_case(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await uphold(shared_notifier, case_id)
    await close(shared_notifier, case_id, "unfounded")
    await done(shared_notifier, case_id, "reopen", reason="x")
    assert "release" in await clocks(shared_notifier, case_id)


async def test_what_officers_had_freed_before_the_case_was_closed_stays_free(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    extension = await ordered(shared_notifier, case_id, "extend_stop")
    release = await ordered(shared_notifier, case_id, "release_stop")
    await close(shared_notifier, case_id, "unfounded")
    await done(shared_notifier, case_id, "reopen", reason="x")
    assert "release" in await clocks(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_success(release))
    await hear(shared_notifier.pool, a_success(extension))
    assert (await kinds(shared_notifier, case_id))[-1] == "release_stop"
    assert len(await kinds(shared_notifier, case_id)) == 4


async def test_an_extension_that_was_on_its_way_holds_though_the_close_released_what_it_extends(
    shared_notifier: Door,
) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await ordered(shared_notifier, case_id, "extend_stop")
    await close(shared_notifier, case_id, "unfounded")
    assert (await kinds(shared_notifier, case_id))[-1] == "release_stop"
    case = await done(shared_notifier, case_id, "reopen", reason="x")
    assert [order["unwanted"] for order in case["orders"] if order["kind"] == "extend_stop"] == [False]
