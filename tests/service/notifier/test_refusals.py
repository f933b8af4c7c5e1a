"""Orders and decisions that are refused: which status, which rule, and no trace."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.parts import Door
from tests.service.notifier.builders import (
    a_disposition,
    a_success,
    a_verdict,
    an_account,
    count,
    hear,
    now,
)
from tests.service.notifier.police import CUIZHU, DONGMEN, a_case, close, give, new_case, ordered, orders_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def state_of(door: Door, case_id: str) -> tuple[Any, ...]:
    """Everything of a case that a refusal must leave alone."""
    key = UUID(case_id)
    [case] = await door.rows("select * from fraud_case where id = $1", key)
    orders = await door.rows("select * from bank_order where case_id = $1 order by id", key)
    timeline = await door.rows("select id from timeline where case_id = $1", key)
    outbox = await door.rows("select id from outbox where key = $1 and awaits_answer", case_id)
    audit = await door.pool.fetchval("select count(*) from audit where action not in ('order_refused', 'step_refused')")
    return case, orders, timeline, outbox, audit


async def refused_rules(door: Door, subject: str) -> list[tuple[str, str]]:
    """Who tried to break which rule."""
    sql = "select actor, reason from audit where action = 'order_refused' and subject = $1 order by id"
    return [(row["actor"], row["reason"]) for row in await door.rows(sql, UUID(subject))]


async def test_a_stop_on_a_closed_case_is_refused(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    assert (await close(shared_notifier, case_id)).status_code == 200
    before = await state_of(shared_notifier, case_id)
    answer = await give(shared_notifier, case_id)
    assert answer.status_code == 409
    assert "closed" in answer.json()["detail"]
    assert await state_of(shared_notifier, case_id) == before


async def test_a_third_stop_of_one_account_is_refused_and_the_rule_is_named(shared_notifier: Door) -> None:
    account = an_account()
    first = await a_case(shared_notifier, a_verdict(account=account))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, first)))
    assert (await close(shared_notifier, first)).status_code == 200
    second = await a_case(shared_notifier, a_verdict(account=account))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, second)))
    before = await state_of(shared_notifier, second)
    answer = await give(shared_notifier, second)
    assert answer.status_code == 409
    assert "银发〔2016〕86号" in answer.json()["detail"]
    assert await state_of(shared_notifier, second) == before


async def test_a_stop_that_is_pending_counts_against_the_two(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    pending = await ordered(shared_notifier, case_id)
    before = await state_of(shared_notifier, case_id)
    answer = await give(shared_notifier, case_id)
    assert (answer.status_code, answer.json()["existing_id"]) == (409, pending["id"])
    assert await state_of(shared_notifier, case_id) == before


async def test_a_second_release_while_one_is_pending_is_refused(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    pending = await ordered(shared_notifier, case_id, "release_stop")
    answer = await give(shared_notifier, case_id, "release_stop")
    assert (answer.status_code, answer.json()["existing_id"]) == (409, pending["id"])


async def test_a_release_of_what_is_not_held_is_refused(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    refused = [await give(shared_notifier, case_id, "release_stop")]
    stop = await ordered(shared_notifier, case_id)
    refused.append(await give(shared_notifier, case_id, "release_stop"))
    await hear(shared_notifier.pool, a_success(stop))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id, "release_stop")))
    refused.append(await give(shared_notifier, case_id, "release_stop"))
    for answer in refused:
        assert answer.status_code == 409
        assert "Nothing is held" in answer.json()["detail"]


async def test_a_release_after_the_48_hours_is_refused_since_nothing_is_held(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_success(stop, executed_at=now() - timedelta(hours=48, seconds=1)))
    answer = await give(shared_notifier, case_id, "release_stop")
    assert (answer.status_code, "Nothing is held" in answer.json()["detail"]) == (409, True)


async def test_a_stop_of_money_that_was_all_averted_is_refused(shared_notifier: Door) -> None:
    verdict = a_verdict(account=an_account())
    case_id = await a_case(shared_notifier, verdict)
    await count(shared_notifier.pool, a_disposition(verdict))
    before = await state_of(shared_notifier, case_id)
    answer = await give(shared_notifier, case_id)
    assert (answer.status_code, "averted" in answer.json()["detail"]) == (409, True)
    assert await state_of(shared_notifier, case_id) == before


async def test_another_units_case_is_not_there(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    before = await state_of(shared_notifier, case_id)
    assert (await give(shared_notifier, case_id, who=DONGMEN)).status_code == 404
    assert (await close(shared_notifier, case_id, who=DONGMEN)).status_code == 404
    assert await state_of(shared_notifier, case_id) == before


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, None),
        (b'{"kind": "stop"', 400, None),
        (b'{"kind": "stop"} x', 400, None),
        (b'{"kind": "stop", "kind": "stop"}', 400, None),
        (b'{"kind": "stop", "amount_fen": NaN}', 400, None),
        (b"[" * 30_000, 400, None),
        (b'{"kind": "stop", "amount_fen": 1' + b"0" * 5000 + b"}", 400, None),
        (b'{"kind": "stop", "reason": "\xff"}', 400, None),
        (b"[]", 422, "body"),
        (b"{}", 422, "kind"),
        (b'{"kind": "jail"}', 422, "kind"),
        (b'{"kind": 1}', 422, "kind"),
        (b'{"kind": "stop", "amount_fen": true}', 422, "amount_fen"),
        (b'{"kind": "stop", "amount_fen": "1_000"}', 422, "amount_fen"),
        (b'{"kind": "stop", "amount_fen": 0}', 422, "amount_fen"),
        (b'{"kind": "stop", "amount_fen": -5}', 422, "amount_fen"),
        (b'{"kind": "stop", "amount_fen": 100.5}', 422, "amount_fen"),
        (b'{"kind": "stop", "amount_fen": 100.0}', 422, "amount_fen"),
        (b'{"kind": "stop", "amount_fen": 1000000000001}', 422, "amount_fen"),
        (b'{"kind": "stop", "reason": "a\\u0000"}', 422, "reason"),
        (b'{"kind": "stop", "remark": "' + b"x" * 2001 + b'"}', 422, "remark"),
        (b'{"kind": "stop", "officer": "me"}', 422, "officer"),
        (b'{"kind": "stop", "remark": "' + b"x" * 70_000 + b'"}', 413, None),
    ],
)
async def test_an_order_that_cannot_be_accepted_is_refused_by_its_field_and_leaves_no_trace(
    shared_notifier: Door, body: bytes, status: int, field: str | None
) -> None:
    case_id = await new_case(shared_notifier)
    before = await state_of(shared_notifier, case_id)
    headers = {**CUIZHU, "Content-Type": "application/json"}
    answer = await shared_notifier.client.post(f"/v1/cases/{case_id}/orders", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json().get("errors", [])] == ([field] if field else [])
    assert await state_of(shared_notifier, case_id) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"finding": "guilty", "reason": "x"}, "finding"),
        ({"reason": "x"}, "finding"),
        ({"finding": "confirmed"}, "reason"),
        ({"finding": "confirmed", "reason": " "}, "reason"),
        ({"finding": "confirmed", "reason": "x", "scam_type": "witchcraft"}, "scam_type"),
        ({"finding": "confirmed", "reason": "x", "scam_type": ""}, "scam_type"),
        ({"finding": "confirmed", "reason": "x", "by": "me"}, "by"),
    ],
)
async def test_a_finding_that_cannot_be_accepted_is_refused_by_its_field_and_closes_nothing(
    shared_notifier: Door, body: dict[str, str], field: str
) -> None:
    case_id = await new_case(shared_notifier)
    before = await state_of(shared_notifier, case_id)
    answer = await shared_notifier.client.post(f"/v1/cases/{case_id}/close", json=body, headers=CUIZHU)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await state_of(shared_notifier, case_id) == before


async def test_a_case_number_that_is_none_is_refused(shared_notifier: Door) -> None:
    answer = await shared_notifier.client.get("/v1/cases/1 or 1=1", headers=CUIZHU)
    assert answer.status_code == 422
    assert "1=1" not in answer.text


async def test_closing_as_confirmed_while_an_order_waits_for_the_bank_is_refused(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await ordered(shared_notifier, case_id)
    before = await state_of(shared_notifier, case_id)
    answer = await close(shared_notifier, case_id, "confirmed")
    assert (answer.status_code, "waiting" in answer.json()["detail"]) == (409, True)
    assert await state_of(shared_notifier, case_id) == before


async def test_an_order_to_a_bank_that_nobody_connected_is_refused_instead_of_waiting_for_ever(
    shared_notifier: Door,
) -> None:
    verdict = a_verdict(an_account())
    report = verdict.report.model_copy(update={"payee_bank": "ccb"})
    case_id = await a_case(shared_notifier, verdict.model_copy(update={"report": report}))
    answer = await give(shared_notifier, case_id)
    assert answer.status_code == 409
    assert "No bank ccb is connected" in answer.json()["detail"]
    assert await orders_of(shared_notifier, case_id) == []
