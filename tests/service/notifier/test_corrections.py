"""Orders that a bank found wrong, put right; and paperwork that follows a stop of the bank's own."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.events import Checked, OrderChanged
from tests.parts import IDENTITY, TOKENS, Door
from tests.service.notifier.builders import PAYEE_NAME, a_failure, a_success, a_verdict, an_account, hear, now
from tests.service.notifier.police import (
    a_case,
    approved,
    case_of,
    give,
    new_case,
    ordered,
    orders_of,
    promised,
    reject,
)
from tests.service.notifier.test_refusals import refused_rules, state_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def mismatched(door: Door, *facts: Checked) -> tuple[str, dict[str, Any]]:
    """A case whose stop the bank did not execute, since these facts do not match."""
    case_id = await new_case(door)
    stop = await ordered(door, case_id)
    await hear(door.pool, a_failure(stop, mismatch=facts))
    return case_id, stop


async def told(door: Door, case_id: str) -> tuple[OrderChanged, dict[str, Any]]:
    """What the bank is told of the one order of a case that it has yet to answer."""
    [row] = await promised(door, case_id)
    event = OrderChanged.model_validate_json(row["payload"])
    return event, json.loads(IDENTITY.open(event.identity, str(event.order_id)))


async def test_officers_see_what_did_not_match_and_the_banks_words(shared_notifier: Door) -> None:
    case_id, _ = await mismatched(shared_notifier, Checked.NAME, Checked.AMOUNT)
    case = await case_of(shared_notifier, case_id)
    [order] = case["orders"]
    assert (order["failure"], order["mismatch"]) == ("mismatch", ["name", "amount"])
    assert (order["failure_cause"], order["remark"], order["operator"]) == ("核心系统暂停服务", None, None)
    assert "户名、金额核对不符" in case["timeline"][-1]["text"]


async def test_the_same_order_again_is_refused_until_each_fact_that_was_wrong_is_corrected(
    shared_notifier: Door,
) -> None:
    case_id, stop = await mismatched(shared_notifier, Checked.NAME, Checked.TRANSFER_AT)
    before = await state_of(shared_notifier, case_id)
    for correction in (
        {},
        {"corrects": stop["id"]},
        {"corrects": stop["id"], "payee_name": "蒙世堃"},
        {"corrects": stop["id"], "payee_name": PAYEE_NAME, "transfer_at": (now() - timedelta(hours=1)).isoformat()},
    ):
        answer = await give(shared_notifier, case_id, **correction)
        assert (answer.status_code, answer.json()["rule"]) == (409, "correct-the-mismatch")
        assert answer.json()["existing_id"] == stop["id"]
    assert await state_of(shared_notifier, case_id) == before
    assert await refused_rules(shared_notifier, case_id) == [("officer:陆峥", "correct-the-mismatch")] * 4


async def test_a_corrected_name_and_time_are_what_the_bank_is_told(shared_notifier: Door) -> None:
    case_id, stop = await mismatched(shared_notifier, Checked.NAME, Checked.TRANSFER_AT)
    at = (now() - timedelta(hours=1)).isoformat()
    again = await ordered(shared_notifier, case_id, corrects=stop["id"], payee_name="蒙世堃", transfer_at=at)
    assert (again["corrects"], again["amount_fen"]) == (stop["id"], stop["amount_fen"])
    event, people = await told(shared_notifier, case_id)
    assert (people["payee"]["name"], event.transfer_at) == ("蒙世堃", datetime.fromisoformat(at))
    await hear(shared_notifier.pool, a_success(again))
    await ordered(shared_notifier, case_id, "release_stop")
    _, people = await told(shared_notifier, case_id)
    assert people["payee"]["name"] == "蒙世堃", "a release is about the account as the stop named it"


async def test_a_corrected_account_counts_its_own_stops_and_stands_for_the_payees(shared_notifier: Door) -> None:
    case_id, stop = await mismatched(shared_notifier, Checked.ACCOUNT)
    right = an_account()
    again = await ordered(shared_notifier, case_id, corrects=stop["id"], payee_account=right)
    [_, row] = await orders_of(shared_notifier, case_id)
    assert row["payee_token"] == TOKENS.of("account", right)
    _, people = await told(shared_notifier, case_id)
    assert people["payee"]["account"] == right
    await hear(shared_notifier.pool, a_success(again))
    extension = await ordered(shared_notifier, case_id, "extend_stop")
    assert extension["acts_on"] == again["id"]
    await hear(shared_notifier.pool, a_success(extension))
    third = await give(shared_notifier, case_id)
    assert (third.status_code, third.json()["rule"]) == (409, "stopped-twice")


async def test_stops_of_another_case_count_on_a_corrected_account(shared_notifier: Door) -> None:
    right = an_account()
    other = await a_case(shared_notifier, a_verdict(right))
    for _ in range(2):
        await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, other)))
    case_id, stop = await mismatched(shared_notifier, Checked.ACCOUNT)
    answer = await give(shared_notifier, case_id, corrects=stop["id"], payee_account=right)
    assert (answer.status_code, answer.json()["rule"]) == (409, "stopped-twice")


async def test_an_order_is_corrected_once_and_again_only_after_the_correction_failed(shared_notifier: Door) -> None:
    case_id, stop = await mismatched(shared_notifier, Checked.ACCOUNT)
    first = await ordered(shared_notifier, case_id, corrects=stop["id"], payee_account=an_account())
    answer = await give(shared_notifier, case_id, corrects=stop["id"], payee_account=an_account())
    assert (answer.status_code, answer.json()["rule"]) == (409, "corrected-already")
    assert answer.json()["existing_id"] == first["id"]
    await hear(shared_notifier.pool, a_failure(first, mismatch=[Checked.ACCOUNT]))
    await ordered(shared_notifier, case_id, corrects=stop["id"], payee_account=an_account())


@pytest.mark.parametrize("fails", [True, False], ids=["failed for another reason", "turned down"])
async def test_after_a_correction_that_came_to_nothing_the_wrong_facts_are_not_asked_again(
    shared_notifier: Door,
    fails: bool,  # noqa: FBT001
) -> None:
    case_id = await a_case(shared_notifier, a_verdict(an_account(), amount_fen=100_000_001))
    stop = await approved(shared_notifier, await ordered(shared_notifier, case_id))
    await hear(shared_notifier.pool, a_failure(stop, mismatch=[Checked.NAME]))
    last = correction = await ordered(shared_notifier, case_id, corrects=stop["id"], payee_name="蒙世堃")
    if fails:
        await hear(shared_notifier.pool, a_failure(await approved(shared_notifier, correction)))
    else:
        assert (await reject(shared_notifier, correction)).status_code == 200
        last = stop
    answer = await give(shared_notifier, case_id)
    assert (answer.status_code, answer.json()["rule"]) == (409, "correct-the-mismatch")
    assert answer.json()["existing_id"] == last["id"]
    facts = {} if fails else {"payee_name": "蒙世堃"}
    await approved(shared_notifier, await ordered(shared_notifier, case_id, corrects=last["id"], **facts))
    _, people = await told(shared_notifier, case_id)
    assert people["payee"]["name"] == "蒙世堃"


async def test_only_what_failed_in_this_case_can_be_corrected(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_success(stop))
    answer = await give(shared_notifier, case_id, corrects=stop["id"], payee_name="蒙世堃")
    assert (answer.status_code, answer.json()["rule"]) == (409, "correct-what-failed")
    _, foreign = await mismatched(shared_notifier, Checked.NAME)
    answer = await give(shared_notifier, case_id, corrects=foreign["id"], payee_name="蒙世堃")
    assert [error["field"] for error in answer.json()["errors"]] == ["corrects"]


async def test_paperwork_that_follows_within_24_hours_is_linked_to_the_banks_report(shared_notifier: Door) -> None:
    verdict = a_verdict(an_account())
    case_id = await a_case(shared_notifier, verdict)
    stopped_at = now() - timedelta(hours=3)
    order = await ordered(shared_notifier, case_id, bank_stopped_at=stopped_at.isoformat())
    assert order["application_type"] == "04"
    assert order["original_application_id"] == str(verdict.report.report_id)
    await hear(shared_notifier.pool, a_success(order, executed_at=now()))
    [row] = await orders_of(shared_notifier, case_id)
    assert row["expires_at"] == stopped_at + timedelta(hours=48), "the bank held the money since then"
    assert "先行止付，补办手续" in next(
        one["text"] for one in (await case_of(shared_notifier, case_id))["timeline"] if one["kind"] == "ordered"
    )


async def test_paperwork_after_24_hours_is_refused(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    late = (now() - timedelta(hours=24, seconds=1)).isoformat()
    answer = await give(shared_notifier, case_id, bank_stopped_at=late)
    assert (answer.status_code, answer.json()["rule"]) == (409, "backfill-within-24-hours")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"payee_name": "蒙世堃"}, "payee_name"),
        ({"payee_account": "6217000000000001"}, "payee_account"),
        ({"corrects": "01999999-0000-7000-8000-000000000000", "payee_account": "６２１７００００"}, "payee_account"),
        ({"corrects": "01999999-0000-7000-8000-000000000000", "payee_account": "62170000\n"}, "payee_account"),
        ({"corrects": "01999999-0000-7000-8000-000000000000", "payee_name": "蒙\u200b世"}, "payee_name"),
        ({"corrects": "7"}, "corrects"),
        ({"bank_stopped_at": "2026-11-22T09:31:00"}, "bank_stopped_at"),
        ({"bank_stopped_at": "2999-11-22T09:31:00Z"}, "bank_stopped_at"),
        ({"application_type": "04"}, "bank_stopped_at"),
        ({"application_type": "00", "bank_stopped_at": "2026-11-21T09:31:00Z"}, "application_type"),
        ({"kind": "extend_stop", "bank_stopped_at": "2026-11-21T09:31:00Z"}, "bank_stopped_at"),
    ],
)
async def test_a_correction_or_paperwork_that_cannot_be_accepted_is_named_by_field(
    shared_notifier: Door, body: dict[str, Any], field: str
) -> None:
    case_id = await new_case(shared_notifier)
    answer = await give(shared_notifier, case_id, **body)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await orders_of(shared_notifier, case_id) == []


async def test_a_corrected_number_is_nowhere_in_clear(shared_notifier: Door) -> None:
    case_id, stop = await mismatched(shared_notifier, Checked.ACCOUNT)
    right = an_account()
    await ordered(shared_notifier, case_id, corrects=stop["id"], payee_account=right)
    for table in ("bank_order", "timeline", "outbox", "audit", "alert"):
        rows = await shared_notifier.rows(f"select * from {table}")
        assert not [row for row in rows if right in str(row) or right.encode() in b"".join(_bytes(row))]
    assert (await orders_of(shared_notifier, case_id))[0]["id"] == UUID(stop["id"])


def _bytes(row: dict[str, Any]) -> list[bytes]:
    return [value for value in row.values() if isinstance(value, bytes)]
