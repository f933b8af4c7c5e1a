"""Steps that a rule refuses change nothing and are on record; what is let go is freed, whenever the bank answers."""

from typing import Any
from uuid import UUID

import pytest

from services.notifier.cases import store
from services.notifier.orders import ordering
from tests.parts import Door
from tests.service.notifier.builders import (
    a_failure,
    a_success,
    a_verdict,
    an_account,
    hear,
    moved_to,
    now,
    office,
)
from tests.service.notifier.police import (
    DONGMEN,
    a_case,
    case_of,
    clocks,
    close,
    give,
    new_case,
    ordered,
    orders_of,
    recorded,
    timeline,
)
from tests.service.notifier.test_refusals import refused_rules, state_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

MUCH = 100_000_001


async def counted(door: Door, rule: str) -> float:
    """How many steps were refused by a rule, as the metrics show it."""
    text = (await door.client.get("/metrics")).text
    found = [line for line in text.splitlines() if line.startswith(f'lanjie_steps_refused_total{{rule="{rule}"}}')]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


async def test_a_step_that_a_rule_refuses_is_on_record_and_counted_by_the_rule(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    before, counts = await state_of(shared_notifier, case_id), await counted(shared_notifier, "freeze-before-expiry")
    answer = await give(shared_notifier, case_id, "freeze")
    assert (answer.status_code, answer.json()["rule"]) == (409, "freeze-before-expiry")
    assert await state_of(shared_notifier, case_id) == before
    assert await refused_rules(shared_notifier, case_id) == [("officer:陆峥", "freeze-before-expiry")]
    assert await counted(shared_notifier, "freeze-before-expiry") == counts + 1


async def test_what_is_merely_written_wrongly_or_another_units_is_not(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    assert (await give(shared_notifier, case_id, "jail")).status_code == 422
    assert (await give(shared_notifier, case_id, "stop", term_months=6)).status_code == 422
    assert (await give(shared_notifier, case_id, "freeze", who=DONGMEN)).status_code == 404
    assert await refused_rules(shared_notifier, case_id) == []


async def test_the_record_holds_no_number_and_no_name(shared_notifier: Door) -> None:
    rows = await shared_notifier.rows("select distinct reason from audit where action = 'order_refused'")
    assert all(row["reason"].replace("-", "").isascii() for row in rows)


async def test_an_unfounded_case_may_be_closed_while_the_bank_has_yet_to_answer_and_is_freed_when_it_does(
    shared_notifier: Door,
) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    assert (await close(shared_notifier, case_id, "unfounded", reason="系正常交易")).status_code == 200
    assert [one["unwanted"] for one in await orders_of(shared_notifier, case_id)] == [True]
    await hear(shared_notifier.pool, a_success(stop))
    case = await case_of(shared_notifier, case_id)
    release = case["orders"][-1]
    assert (release["kind"], release["status"], release["acts_on"]) == ("release_stop", "pending", stop["id"])
    assert timeline(case)[-2:] == ["feedback", "ordered"]
    assert "release" in await clocks(shared_notifier, case_id)
    written = await shared_notifier.rows("select xmin::text from bank_order where case_id = $1", UUID(case_id))
    assert len({row["xmin"] for row in written}) == 1, "one transaction took the answer and freed the account"
    assert await recorded(shared_notifier, release["id"]) == [("lanjie", "order_release_stop", "系正常交易")]
    await hear(shared_notifier.pool, a_success(release))
    assert await clocks(shared_notifier, case_id) == []


async def test_a_stop_that_fails_after_the_case_was_unfounded_needs_no_release(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    assert (await close(shared_notifier, case_id, "unfounded")).status_code == 200
    await hear(shared_notifier.pool, a_failure(stop))
    assert [one["kind"] for one in await orders_of(shared_notifier, case_id)] == ["stop"]


async def test_a_release_that_failed_leaves_its_deadline_running_until_the_account_is_free(
    shared_notifier: Door,
) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    release = (await close(shared_notifier, case_id, "unfounded")).json()["orders"][-1]
    await hear(shared_notifier.pool, a_failure(release))
    assert "release" in await clocks(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id, "release_stop")))
    assert await clocks(shared_notifier, case_id) == []


async def test_proposals_of_an_unfounded_case_are_turned_down(shared_notifier: Door) -> None:
    case_id = await a_case(shared_notifier, a_verdict(an_account(), amount_fen=MUCH))
    await ordered(shared_notifier, case_id)
    case = (await close(shared_notifier, case_id, "unfounded")).json()
    assert [one["status"] for one in case["orders"]] == ["rejected"]
    assert "rejected" in timeline(case)
    assert await clocks(shared_notifier, case_id) == []


async def test_everything_is_released_on_every_account_of_the_case(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    further = an_account()
    stop = await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_success(stop, onward=[moved_to(further, 4_000)]))
    [onward] = await shared_notifier.rows("select id from onward_account where case_id = $1", UUID(case_id))
    follow_up = await ordered(shared_notifier, case_id, onward_id=str(onward["id"]))
    assert (follow_up["account_level"], follow_up["amount_fen"], follow_up["bank"]) == (2, 4_000, "ABC")
    assert (follow_up["application_type"], follow_up["original_application_id"]) == ("00", None)
    await hear(shared_notifier.pool, a_success(follow_up))
    case = (await close(shared_notifier, case_id, "unfounded")).json()
    releases = [one for one in case["orders"] if one["kind"] == "release_stop"]
    assert {(one["bank"], one["acts_on"]) for one in releases} == {("CCB", stop["id"]), ("ABC", follow_up["id"])}


async def test_each_case_of_an_account_is_freed_whatever_the_other_waits_for(shared_notifier: Door) -> None:
    account = an_account()
    first = await a_case(shared_notifier, a_verdict(account))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, first)))
    assert (await close(shared_notifier, first)).status_code == 200
    second = await a_case(shared_notifier, a_verdict(account))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, second)))
    await ordered(shared_notifier, first, "release_stop")
    assert (await close(shared_notifier, second, "unfounded")).status_code == 200
    assert [one["kind"] for one in await orders_of(shared_notifier, second)] == ["stop", "release_stop"]


async def test_a_release_names_the_account_of_the_order_it_is_asked_for(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_success(stop, onward=[moved_to(an_account(), 4_000)]))
    [onward] = await shared_notifier.rows("select id from onward_account where case_id = $1", UUID(case_id))
    follow_up = await ordered(shared_notifier, case_id, onward_id=str(onward["id"]))
    await hear(shared_notifier.pool, a_success(follow_up))
    more: dict[str, Any] = {"original_application_id": follow_up["id"]}
    release = await ordered(shared_notifier, case_id, "release_stop", **more)
    assert (release["bank"], release["acts_on"], release["account_level"]) == ("ABC", follow_up["id"], 2)


async def test_releasing_everything_twice_gives_one_order_an_account(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    for expected in (1, 0):
        async with shared_notifier.pool.acquire() as connection, connection.transaction():
            about = await store.locked_case(connection, UUID(case_id))
            assert about is not None
            given, _ = await ordering.release_everything(
                connection, office(shared_notifier.pool), None, about, "异议成立", now()
            )
            assert len(given) == expected
