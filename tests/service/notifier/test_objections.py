"""An account holder objects: recorded, answered in time and once, and set free where the objection is upheld."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx2 import Response

from shared.events import OrderChanged
from tests.parts import Door, officer_of
from tests.service.notifier.builders import a_success, hear
from tests.service.notifier.police import (
    AUDITOR,
    CUIZHU,
    DONGMEN,
    LUOHU,
    case_of,
    clocks,
    close,
    does,
    done,
    new_case,
    ordered,
    promised,
    timeline,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
APPROVER = officer_of("SZ-LH", "approver")
SAID = {"by": "蒙世坤", "text": "这是我的工资卡，请解除"}


async def objection(door: Door, case_id: str) -> dict[str, Any]:
    return (await done(door, case_id, "objections", **SAID))["objections"][-1]  # type: ignore[no-any-return]


async def answers(
    door: Door, objection_id: str, decision: str, who: dict[str, str] = LUOHU, text: str = "已核实"
) -> Response:
    body = {"decision": decision, "text": text}
    return await door.client.post(f"/v1/objections/{objection_id}/answer", json=body, headers=who)


async def stopped(door: Door) -> str:
    """A case that holds its account."""
    case_id = await new_case(door)
    await hear(door.pool, a_success(await ordered(door, case_id)))
    return case_id


async def test_an_objection_is_recorded_and_has_its_time_to_be_answered(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    case = await done(shared_notifier, case_id, "objections", **SAID)
    [shown] = case["objections"]
    assert (shown["raised_by"], shown["text"], shown["recorded_by"]) == (SAID["by"], SAID["text"], "陆峥")
    assert (shown["decision"], shown["answer"], shown["answered_at"]) == (None, None, None)
    taken = datetime.fromisoformat(shown["answer_by"]) - datetime.fromisoformat(shown["raised_at"])
    assert taken == timedelta(days=3)
    [due] = [one for one in case["deadlines"] if one["stage"] == "objection"]
    assert (due["subject"], due["due_at"]) == (shown["id"], shown["answer_by"])
    assert timeline(case) == ["opened", "objected"]


async def test_who_objects_and_why_lies_sealed_and_in_no_timeline(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    said = await objection(shared_notifier, case_id)
    assert (await answers(shared_notifier, said["id"], "rejected", text="蒙世坤涉案")).status_code == 200
    kept = await shared_notifier.rows("select sealed, sealed_answer from objection where id = $1", UUID(said["id"]))
    told = await shared_notifier.rows("select text from timeline where case_id = $1", UUID(case_id))
    assert "蒙" not in str(kept) + str(told)


async def test_an_upheld_objection_releases_in_the_same_transaction(shared_notifier: Door) -> None:
    case_id = await stopped(shared_notifier)
    said = await objection(shared_notifier, case_id)
    case = (await answers(shared_notifier, said["id"], "upheld", CUIZHU)).json()
    release = case["orders"][-1]
    assert (release["kind"], release["status"]) == ("release_stop", "pending")
    assert (case["status"], timeline(case)[-2:]) == ("acknowledged", ["objection_answered", "ordered"])
    [shown] = case["objections"]
    assert (shown["decision"], shown["answer"], shown["answered_by"]) == ("upheld", "已核实", "陆峥")
    assert [row["type"] for row in await promised(shared_notifier, case_id)] == [OrderChanged.type]
    written = await shared_notifier.rows(
        """
        select xmin::text from objection where id = $1 union select xmin::text from bank_order where id = $2
        union select xmin::text from fraud_case where id = $3
        """,
        UUID(said["id"]),
        UUID(release["id"]),
        UUID(case_id),
    )
    assert len(written) == 1, "one transaction wrote the answer, the release and the case"
    running = await clocks(shared_notifier, case_id)
    assert ("objection" in running, "release" in running) == (False, True)


async def test_an_upheld_objection_in_a_case_that_holds_nothing_is_only_answered(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    said = await objection(shared_notifier, case_id)
    case = (await answers(shared_notifier, said["id"], "upheld")).json()
    assert (case["objections"][0]["decision"], case["orders"]) == ("upheld", [])


async def test_a_rejected_objection_leaves_the_hold(shared_notifier: Door) -> None:
    case_id = await stopped(shared_notifier)
    said = await objection(shared_notifier, case_id)
    case = (await answers(shared_notifier, said["id"], "rejected", APPROVER)).json()
    assert (case["objections"][0]["decision"], len(case["orders"])) == ("rejected", 1)
    assert "objection" not in await clocks(shared_notifier, case_id)


async def test_rejecting_takes_an_approver_or_a_supervisor_and_the_attempt_is_on_record(shared_notifier: Door) -> None:
    case_id = await stopped(shared_notifier)
    said = await objection(shared_notifier, case_id)
    before = await case_of(shared_notifier, case_id)
    answer = await answers(shared_notifier, said["id"], "rejected", CUIZHU)
    assert (answer.status_code, answer.json()["rule"]) == (403, "objection-rejected-by-approver")
    assert await case_of(shared_notifier, case_id) == before
    tried = await shared_notifier.rows("select actor, action from audit where subject = $1", UUID(said["id"]))
    assert tried == [{"actor": "officer:陆峥", "action": "step_refused"}]


@pytest.mark.parametrize("first", ["upheld", "rejected"])
async def test_an_objection_is_answered_once(shared_notifier: Door, first: str) -> None:
    case_id = await stopped(shared_notifier)
    said = await objection(shared_notifier, case_id)
    case = (await answers(shared_notifier, said["id"], first)).json()
    assert (await answers(shared_notifier, said["id"], first, APPROVER, "again")).json() == case
    other = await answers(shared_notifier, said["id"], "rejected" if first == "upheld" else "upheld")
    assert (other.status_code, other.json()["rule"]) == (409, "objection-answered-once")
    assert await case_of(shared_notifier, case_id) == case


async def test_several_objections_are_answered_each_by_itself(shared_notifier: Door) -> None:
    case_id = await stopped(shared_notifier)
    one, other = await objection(shared_notifier, case_id), await objection(shared_notifier, case_id)
    await answers(shared_notifier, one["id"], "rejected")
    assert "objection" in await clocks(shared_notifier, case_id)
    case = (await answers(shared_notifier, other["id"], "upheld")).json()
    assert [shown["decision"] for shown in case["objections"]] == ["rejected", "upheld"]


async def test_an_objection_in_a_closed_case_is_answered_as_well(shared_notifier: Door) -> None:
    case_id = await stopped(shared_notifier)
    await close(shared_notifier, case_id, "confirmed")
    said = await objection(shared_notifier, case_id)
    case = (await answers(shared_notifier, said["id"], "upheld")).json()
    assert (case["status"], case["orders"][-1]["kind"]) == ("closed", "release_stop")


async def test_another_units_objection_is_not_there_and_an_auditor_answers_none(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    said = await objection(shared_notifier, case_id)
    absent = await answers(shared_notifier, str(UUID(int=7)), "upheld")
    foreign = await answers(shared_notifier, said["id"], "upheld", DONGMEN)
    assert (foreign.status_code, foreign.json()) == (404, absent.json())
    assert (await answers(shared_notifier, said["id"], "upheld", AUDITOR)).status_code == 403
    assert (await does(shared_notifier, case_id, "objections", AUDITOR, **SAID)).status_code == 403


@pytest.mark.parametrize(("body", "field"), [({"decision": "maybe"}, "decision"), ({"text": "a\0b"}, "text")])
async def test_an_answer_that_is_none_is_refused_by_its_field(
    shared_notifier: Door, body: dict[str, str], field: str
) -> None:
    said = await objection(shared_notifier, await new_case(shared_notifier))
    answer = await shared_notifier.client.post(
        f"/v1/objections/{said['id']}/answer", json={"decision": "upheld", "text": "x", **body}, headers=LUOHU
    )
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
