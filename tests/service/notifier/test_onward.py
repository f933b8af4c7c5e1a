"""Money that has moved on: what banks tell of it, the tree in the case, the orders that follow it."""

from uuid import UUID

import pytest

from tests.parts import TOKENS, Door
from tests.service.notifier.builders import (
    CLEAR_TEXTS,
    ONWARD_NAME,
    a_failure,
    a_success,
    a_verdict,
    an_account,
    hear,
    moved_to,
)
from tests.service.notifier.police import (
    CUIZHU,
    a_case,
    case_of,
    close,
    give,
    new_case,
    ordered,
    orders_of,
    timeline,
)
from tests.service.notifier.trail import accounts_of, followed, stopped

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE = "01999999-0000-7000-8000-000000000000"


async def test_a_case_begins_with_the_account_the_customer_paid(shared_notifier: Door) -> None:
    verdict = a_verdict(an_account())
    case_id = await a_case(shared_notifier, verdict)
    case = await case_of(shared_notifier, case_id)
    [root] = case["accounts"]
    assert (root["id"], root["parent"], root["level"], root["hold"]) == (case_id, None, 1, "free")
    assert (root["mask"], root["offered"], root["orders"]) == (case["payee"], ["stop"], [])
    assert case["first_transfer_at"] == verdict.report.observed_at.isoformat().replace("+00:00", "Z")


async def test_the_case_shows_where_the_money_went_and_tells_who_said_it(shared_notifier: Door) -> None:
    case_id, first, second = await new_case(shared_notifier), an_account(), an_account()
    order = await stopped(
        shared_notifier, case_id, moved_to(first, 3_600_000), moved_to(first, 400_000), moved_to(second, 50, "BOC")
    )
    case = await case_of(shared_notifier, case_id)
    root, one, other = case["accounts"]
    assert (root["hold"], root["orders"]) == ("stopped", [order["id"]])
    assert "freeze" in root["offered"]
    assert (one["parent"], one["level"], one["bank"], one["hold"]) == (case_id, 2, "ABC", "free")
    assert (one["amount_fen"], one["transfers"], one["offered"]) == (4_000_000, 2, ["stop"])
    assert (other["bank"], other["amount_fen"], other["minutes"]) == ("BOC", 50, 0)
    assert one["mask"] == {"name": "戚**", "account": f"****{first[-4:]}", "bank_code": "ABC"}
    told = next(entry for entry in case["timeline"] if entry["kind"] == "moved_on")
    assert told["text"] == "银行反馈：资金已转往下一级账户 2 个，共 40,000.50 元"
    assert told["actor"] == "bank:CCB"
    assert not any(clear in str(case) for clear in (*CLEAR_TEXTS, first, second))
    stored = await shared_notifier.rows("select * from onward_account where case_id = $1", UUID(case_id))
    assert not any(clear in str(stored) for clear in (*CLEAR_TEXTS, first, second))


async def test_a_bank_that_could_stop_nothing_still_tells_where_the_money_went(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    order = await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_failure(order, onward=[moved_to(an_account(), 9_800_000)]))
    assert [node["level"] for node in await accounts_of(shared_notifier, case_id)] == [1, 2]


async def test_feedback_that_comes_again_adds_no_account_and_no_line(shared_notifier: Door) -> None:
    case_id, transfer = await new_case(shared_notifier), moved_to(an_account(), 70)
    answer = a_success(await ordered(shared_notifier, case_id), stopped_fen=100, onward=[transfer, transfer])
    await hear(shared_notifier.pool, answer)
    before = await case_of(shared_notifier, case_id)
    await hear(shared_notifier.pool, answer)
    assert await case_of(shared_notifier, case_id) == before
    await stopped(shared_notifier, case_id, transfer, transfer)
    after = await case_of(shared_notifier, case_id)
    assert [node["transfers"] for node in after["accounts"]] == [0, 2], "two equal transfers in one answer are two"
    assert timeline(after).count("moved_on") == 1


async def test_an_order_follows_the_money_to_the_next_account_and_the_one_after(shared_notifier: Door) -> None:
    case_id, second, third = await new_case(shared_notifier), an_account(), an_account()
    root = await stopped(shared_notifier, case_id, moved_to(second, 3_000), moved_to(second, 500))
    onward_id = await followed(shared_notifier, case_id, second)
    order = await stopped(shared_notifier, case_id, moved_to(third, 900, "BOC"), onward_id=onward_id)
    assert (order["bank"], order["account_level"], order["amount_fen"]) == ("ABC", 2, 3_500)
    assert order["application_type"] == "00"
    onward_id = await followed(shared_notifier, case_id, third)
    last = await ordered(shared_notifier, case_id, onward_id=onward_id, amount_fen=800)
    assert (last["bank"], last["account_level"], last["amount_fen"]) == ("BOC", 3, 800)
    nodes = await accounts_of(shared_notifier, case_id)
    assert [(node["level"], node["hold"], node["orders"]) for node in nodes] == [
        (1, "stopped", [root["id"]]),
        (2, "stopped", [order["id"]]),
        (3, "free", [last["id"]]),
    ]
    assert [row["payee_token"] for row in await orders_of(shared_notifier, case_id)][1:] == [
        TOKENS.of("account", second),
        TOKENS.of("account", third),
    ]


async def test_money_that_comes_back_is_shown_once_and_offers_nothing_twice(shared_notifier: Door) -> None:
    first, second = an_account(), an_account()
    case_id = await a_case(shared_notifier, a_verdict(first))
    await stopped(shared_notifier, case_id, moved_to(second, 3_000))
    onward_id = await followed(shared_notifier, case_id, second)
    await stopped(shared_notifier, case_id, moved_to(first, 3_000, "CCB"), onward_id=onward_id)
    root, one, back = await accounts_of(shared_notifier, case_id)
    assert (back["cycle"], back["same_as"], back["parent"]) == (True, root["id"], one["id"])
    assert (back["offered"], back["orders"]) == ([], [])
    assert (root["cycle"], one["cycle"]) == (False, False)


async def test_a_third_stop_of_an_account_further_on_is_refused_whichever_case_asks(shared_notifier: Door) -> None:
    shared_account = an_account()
    for _ in range(2):
        case_id = await new_case(shared_notifier)
        await stopped(shared_notifier, case_id, moved_to(shared_account, 3_000))
        await stopped(shared_notifier, case_id, onward_id=await followed(shared_notifier, case_id, shared_account))
    case_id = await new_case(shared_notifier)
    await stopped(shared_notifier, case_id, moved_to(shared_account, 3_000))
    assert (await accounts_of(shared_notifier, case_id))[1]["offered"] == []
    onward_id = await followed(shared_notifier, case_id, shared_account)
    answer = await give(shared_notifier, case_id, onward_id=onward_id)
    assert (answer.status_code, answer.json()["rule"]) == (409, "stopped-twice")
    assert len(await orders_of(shared_notifier, case_id)) == 1


async def test_another_cases_account_is_refused_as_one_that_is_not_there(shared_notifier: Door) -> None:
    mine, other, account = await new_case(shared_notifier), await new_case(shared_notifier), an_account()
    await stopped(shared_notifier, other, moved_to(account, 3_000))
    foreign = await give(shared_notifier, mine, onward_id=await followed(shared_notifier, other, account))
    absent = await give(shared_notifier, mine, onward_id=NOWHERE)
    assert (foreign.status_code, foreign.json()) == (422, absent.json())
    assert foreign.json()["errors"][0]["field"] == "onward_id"
    assert await orders_of(shared_notifier, mine) == []


async def test_an_account_at_a_bank_that_is_not_connected_is_shown_and_cannot_be_ordered_on(
    shared_notifier: Door,
) -> None:
    case_id, account = await new_case(shared_notifier), an_account()
    await stopped(shared_notifier, case_id, moved_to(account, 3_000, "SPDB"))
    node = (await accounts_of(shared_notifier, case_id))[1]
    assert (node["bank"], node["connected"], node["offered"]) == ("SPDB", False, [])
    answer = await give(shared_notifier, case_id, onward_id=node["id"])
    assert answer.status_code == 409
    assert "SPDB" in answer.json()["detail"]


async def test_unmasking_shows_the_accounts_further_on_in_clear_and_is_recorded(shared_notifier: Door) -> None:
    case_id, account = await new_case(shared_notifier), an_account()
    await stopped(shared_notifier, case_id, moved_to(account, 3_000))
    path = f"/v1/cases/{case_id}/unmask"
    answer = await shared_notifier.client.post(path, json={"reason": "电话核实"}, headers=CUIZHU)
    [shown] = answer.json()["accounts"]
    assert (shown["account"], shown["name"], shown["bank_code"]) == (account, ONWARD_NAME, "ABC")
    assert shown["id"] == await followed(shared_notifier, case_id, account)
    recorded = "select count(*) from audit where action = 'unmasked' and subject = $1"
    assert await shared_notifier.pool.fetchval(recorded, UUID(case_id)) == 1


async def test_an_unfounded_case_frees_every_account_it_holds(shared_notifier: Door) -> None:
    case_id, account = await new_case(shared_notifier), an_account()
    await stopped(shared_notifier, case_id, moved_to(account, 3_000))
    await stopped(shared_notifier, case_id, onward_id=await followed(shared_notifier, case_id, account))
    assert (await close(shared_notifier, case_id, "unfounded")).status_code == 200
    released = [row for row in await orders_of(shared_notifier, case_id) if row["kind"] == "release_stop"]
    assert {(row["bank"], row["account_level"]) for row in released} == {("CCB", 1), ("ABC", 2)}


async def test_what_is_held_further_on_is_extended_and_freed_by_the_same_id(shared_notifier: Door) -> None:
    case_id, account = await new_case(shared_notifier), an_account()
    root = await stopped(shared_notifier, case_id, moved_to(account, 3_000))
    onward_id = await followed(shared_notifier, case_id, account)
    stop = await stopped(shared_notifier, case_id, onward_id=onward_id)
    offers = (await accounts_of(shared_notifier, case_id))[1]["offered"]
    assert set(offers) == {"stop", "extend_stop", "release_stop", "freeze"}
    longer = await ordered(shared_notifier, case_id, "extend_stop", onward_id=onward_id)
    await hear(shared_notifier.pool, a_success(longer, stopped_fen=100))
    freed = await ordered(shared_notifier, case_id, "release_stop", onward_id=onward_id, reason="查明无关")
    await hear(shared_notifier.pool, a_success(freed))
    assert [(one["bank"], one["acts_on"]) for one in (longer, freed)] == [("ABC", stop["id"]), ("ABC", longer["id"])]
    nodes = await accounts_of(shared_notifier, case_id)
    assert [(node["hold"], node["orders"]) for node in nodes] == [
        ("stopped", [root["id"]]),
        ("free", [stop["id"], longer["id"], freed["id"]]),
    ]
