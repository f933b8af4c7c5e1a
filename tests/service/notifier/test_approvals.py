"""Second officers: what waits for one, who may approve it or turn it down, and what follows."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.events import OrderChanged, OrderStatus
from shared.outbox import new_id
from tests.parts import Door, officer_of
from tests.service.notifier.builders import a_success, a_verdict, an_account, hear, now
from tests.service.notifier.police import (
    AUDITOR,
    COUNTY,
    CUIZHU,
    DONGMEN,
    FUTIAN,
    LUOHU,
    a_case,
    approve,
    approved,
    case_of,
    clocks,
    give,
    new_case,
    ordered,
    orders_of,
    promised,
    recorded,
    reject,
    timeline,
)
from tests.service.notifier.test_refusals import refused_rules, state_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

MUCH = 100_000_001
"""One fen above the amount from which a second officer approves a stop."""


async def proposed_stop(door: Door) -> tuple[str, dict[str, Any]]:
    case_id = await a_case(door, a_verdict(an_account(), amount_fen=MUCH))
    return case_id, await ordered(door, case_id)


async def proposed_freeze(door: Door, **more: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:  # noqa: ANN401
    """A case with a stop that runs, and a freeze that waits for a second officer."""
    case_id = await new_case(door)
    stop = await ordered(door, case_id)
    await hear(door.pool, a_success(stop))
    return case_id, stop, await ordered(door, case_id, "freeze", **more)


async def test_a_stop_above_the_limit_is_not_the_banks_business_until_a_second_officer_approves(
    shared_notifier: Door,
) -> None:
    case_id, order = await proposed_stop(shared_notifier)
    assert (order["status"], order["approval_level"], order["approved_by"]) == ("proposed", 6, None)
    assert await promised(shared_notifier, case_id) == []
    assert await clocks(shared_notifier, case_id) == ["approve"]
    after = await approved(shared_notifier, order)
    assert (after["status"], after["version"], after["approved_by"]) == ("pending", 2, "沈牧言")
    assert after["ordered_by"] == "陆峥"
    [row] = await promised(shared_notifier, case_id)
    event = OrderChanged.model_validate_json(row["payload"])
    assert (str(row["id"]), event.status, event.version) == (order["id"], OrderStatus.PENDING, 2)
    assert await clocks(shared_notifier, case_id) == ["feedback"]
    case = await case_of(shared_notifier, case_id)
    assert timeline(case) == ["opened", "acknowledged", "proposed", "approved"]
    assert "审批通过，下达紧急止付指令" in case["timeline"][-1]["text"]
    await hear(shared_notifier.pool, a_success(after))
    assert await promised(shared_notifier, case_id) == []


async def test_a_stop_of_just_the_limit_needs_nobody(shared_notifier: Door) -> None:
    case_id = await a_case(shared_notifier, a_verdict(an_account(), amount_fen=MUCH - 1))
    assert (await ordered(shared_notifier, case_id))["status"] == "pending"


async def test_a_proposal_alerts_the_nearest_unit_that_may_approve(shared_notifier: Door) -> None:
    for case_id, unit in (
        ((await proposed_stop(shared_notifier))[0], "SZ-LH"),
        ((await proposed_freeze(shared_notifier))[0], "SZ-LH"),
        ((await proposed_freeze(shared_notifier, term_months=12, major=True))[0], "SZ"),
    ):
        [alert] = await shared_notifier.rows(
            "select unit, roles, facts::text, path from alert where case_id = $1 and report_id is null", UUID(case_id)
        )
        assert (alert["unit"], alert["roles"]) == (unit, ["approver", "supervisor"])
        assert alert["path"].endswith(f"/{unit}/")
        assert '"kind": "approval_wanted"' in alert["facts"]


async def test_who_ordered_does_not_approve(shared_notifier: Door) -> None:
    case_id = await a_case(shared_notifier, a_verdict(an_account(), amount_fen=MUCH))
    order = await ordered(shared_notifier, case_id, who=COUNTY)
    before = await state_of(shared_notifier, case_id)
    answer = await approve(shared_notifier, order, COUNTY)
    assert (answer.status_code, answer.json()["rule"]) == (403, "own-approval")
    assert await state_of(shared_notifier, case_id) == before
    assert await refused_rules(shared_notifier, order["id"]) == [("officer:沈牧言", "own-approval")]
    await approved(shared_notifier, order, LUOHU)


async def test_an_officer_of_the_station_does_not_approve_and_a_freeze_of_a_year_is_the_citys(
    shared_notifier: Door,
) -> None:
    case_id, _, freeze = await proposed_freeze(shared_notifier, term_months=12, major=True)
    before = await state_of(shared_notifier, case_id)
    for who in (CUIZHU, COUNTY, LUOHU, officer_of("SZ")):
        answer = await approve(shared_notifier, freeze, who)
        assert answer.status_code == 403
        assert answer.json()["rule"] in ("own-approval", "approval-level")
    assert await state_of(shared_notifier, case_id) == before


@pytest.mark.parametrize("who", [DONGMEN, FUTIAN])
async def test_another_units_order_looks_exactly_like_an_absent_one(shared_notifier: Door, who: dict[str, str]) -> None:
    _, order = await proposed_stop(shared_notifier)
    for step in (approve, reject):
        foreign, absent = await step(shared_notifier, order, who), await step(shared_notifier, {"id": new_id()}, who)
        assert (foreign.status_code, foreign.json()) == (404, absent.json())
    assert (await approve(shared_notifier, order, AUDITOR)).status_code == 403


async def test_approved_twice_is_once_and_by_another_a_refusal(shared_notifier: Door) -> None:
    case_id, order = await proposed_stop(shared_notifier)
    first = await approved(shared_notifier, order)
    before = await state_of(shared_notifier, case_id)
    assert await approved(shared_notifier, order) == first
    other = await approve(shared_notifier, order, LUOHU)
    assert (other.status_code, other.json()["rule"]) == (409, "approve-what-is-proposed")
    assert await state_of(shared_notifier, case_id) == before


async def test_a_freeze_that_is_approved_after_the_stop_ran_out_is_refused(shared_notifier: Door) -> None:
    case_id, stop, freeze = await proposed_freeze(shared_notifier)
    ran_out = now() - timedelta(seconds=1)
    await shared_notifier.pool.execute("update bank_order set expires_at = $2 where id = $1", UUID(stop["id"]), ran_out)
    before = await state_of(shared_notifier, case_id)
    answer = await approve(shared_notifier, freeze)
    assert (answer.status_code, answer.json()["rule"]) == (409, "freeze-before-expiry")
    assert await state_of(shared_notifier, case_id) == before
    assert await refused_rules(shared_notifier, freeze["id"]) == [("officer:沈牧言", "freeze-before-expiry")]


async def test_a_proposal_that_is_turned_down_never_reaches_the_bank_and_an_order_is_due_again(
    shared_notifier: Door,
) -> None:
    case_id, order = await proposed_stop(shared_notifier)
    refused = await reject(shared_notifier, order, CUIZHU)
    assert refused.status_code == 200, "who ordered may take it back"
    assert "申请已由本人撤回" in (await case_of(shared_notifier, case_id))["timeline"][-1]["text"]
    _, order = case_id, await ordered(shared_notifier, case_id)
    answer = await reject(shared_notifier, order)
    assert (answer.status_code, answer.json()["status"]) == (200, "rejected")
    assert await promised(shared_notifier, case_id) == []
    assert await clocks(shared_notifier, case_id) == ["order"]
    case = await case_of(shared_notifier, case_id)
    assert (timeline(case)[-2:], "申请不予批准" in case["timeline"][-1]["text"]) == (["proposed", "rejected"], True)
    assert (await recorded(shared_notifier, order["id"]))[-1][1:] == ("order_rejected", "依据不足")
    again = await reject(shared_notifier, order)
    assert (again.status_code, again.json()["rule"]) == (409, "approve-what-is-proposed")


async def test_turning_down_needs_a_reason_and_a_second_officer(shared_notifier: Door) -> None:
    case_id, order = await proposed_stop(shared_notifier)
    before = await state_of(shared_notifier, case_id)
    unsaid = await reject(shared_notifier, order, reason=" ")
    assert [error["field"] for error in unsaid.json()["errors"]] == ["reason"]
    low = await reject(shared_notifier, order, officer_of("SZ"))
    assert (low.status_code, low.json()["rule"]) == (403, "approval-level")
    assert await state_of(shared_notifier, case_id) == before


async def test_a_proposed_order_counts_as_one_that_waits(shared_notifier: Door) -> None:
    case_id, order = await proposed_stop(shared_notifier)
    answer = await give(shared_notifier, case_id)
    assert (answer.status_code, answer.json()["existing_id"]) == (409, order["id"])
    assert len(await orders_of(shared_notifier, case_id)) == 1
