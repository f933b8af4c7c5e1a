"""Orders pushed to banks: to every target of the bank, thin, besides the pull; once when issued, once when overdue."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from standardwebhooks.webhooks import Webhook

from services.intake import hearing as banks_side
from services.notifier.alerting import targets
from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.target_store import Owner
from services.notifier.cases import store
from services.notifier.orders import order_store, pushing
from shared.events import AccountType, FeedbackReceived, OrderChanged
from shared.outbox import new_id
from shared.tracing import accepted
from tests.fakes.receiver import receiving
from tests.parts import IDENTITY, Door, bank, notifier_door
from tests.service.notifier.builders import (
    CLEAR_TEXTS,
    ONWARD_NAME,
    a_verdict,
    an_account,
    connected,
    hear,
    moved_to,
    now,
)
from tests.service.notifier.hooks import SECRET
from tests.service.notifier.police import LUOHU, a_case, give, new_case, ordered, promised
from tests.service.notifier.trail import accounts_of, followed, stopped


async def a_target(door: Door, bank: str) -> UUID:
    """Register a system of a bank that nobody serves: what is sent to it stays on its way."""
    target_id = new_id()
    await door.pool.execute(
        """
        insert into target (id, bank, channel, address, shown, closed_until)
        values ($1, $2, 'webhook', $3, 'bank.example', now() + interval '1 hour')
        """,
        target_id,
        bank,
        IDENTITY.seal("https://bank.example/orders", str(target_id)),
    )
    return target_id


async def pushes(door: Door, case_id: str) -> list[dict[str, Any]]:
    """What is on its way to banks about a case, oldest first."""
    return await door.rows(
        """
        select d.message_id, d.target_id, d.type, d.facts, d.state, d.due_at - d.created_at as after
        from delivery d join target t on t.id = d.target_id
        where d.case_id = $1 and t.bank is not null order by d.message_id, t.created_at
        """,
        UUID(case_id),
    )


async def test_an_order_is_pushed_to_every_system_of_its_bank_and_still_pulled(notifier: Door) -> None:
    targets = [await a_target(notifier, "CCB"), await a_target(notifier, "CCB")]
    await a_target(notifier, "ABC")
    removed = await a_target(notifier, "CCB")
    await notifier.pool.execute("update target set removed_at = now() where id = $1", removed)
    case_id = await new_case(notifier)
    order = await ordered(notifier, case_id, reason="立即止付")
    first, second = await pushes(notifier, case_id)
    assert [first["target_id"], second["target_id"]] == targets
    assert first["message_id"] == second["message_id"]
    assert (first["type"], first["state"], first["after"]) == ("lanjie.order.v1", "pending", pushing.PULL_FINDS_IT)
    facts = json.loads(first["facts"])
    assert facts == {
        "order_id": order["id"],
        "version": 1,
        "kind": "stop",
        "status": "pending",
        "bank": "CCB",
        "case_id": case_id,
        "scam_type": "impersonated_authority",
        "emergency_level": "02",
        "amount_fen": 9_800_000,
        "ordered_at": facts["ordered_at"],
        "again": False,
        "link": f"/v1/orders/{order['id']}",
        "traceparent": facts["traceparent"],  # of a case from before traces were kept: the officer's request's
    }
    assert accepted([facts["traceparent"]])
    assert not any(clear in str(first) for clear in CLEAR_TEXTS)
    assert [str(row["id"]) for row in await promised(notifier, case_id)] == [order["id"]]


async def test_an_order_on_an_account_further_on_is_pushed_to_that_accounts_bank_only(notifier: Door) -> None:
    theirs, other = await a_target(notifier, "ABC"), await a_target(notifier, "CCB")
    case_id = await new_case(notifier)
    stop = await stopped(notifier, case_id, moved_to(account := an_account(), 5_000))
    order = await ordered(notifier, case_id, onward_id=await followed(notifier, case_id, account))
    told = {row["target_id"]: json.loads(row["facts"])["order_id"] for row in await pushes(notifier, case_id)}
    assert told == {other: stop["id"], theirs: order["id"]}


async def test_a_bank_without_a_system_of_its_own_pulls(notifier: Door) -> None:
    case_id = await new_case(notifier)
    await ordered(notifier, case_id)
    assert await pushes(notifier, case_id) == []
    assert len(await promised(notifier, case_id)) == 1


async def test_an_order_that_waits_for_a_second_officer_is_pushed_once_approved(notifier: Door) -> None:
    await a_target(notifier, "CCB")
    case_id = await new_case(notifier)
    order = await ordered(notifier, case_id, amount_fen=100_000_001)
    assert order["status"] == "proposed"
    assert await pushes(notifier, case_id) == []
    answer = await notifier.client.post(f"/v1/orders/{order['id']}/approve", headers=LUOHU)
    assert answer.status_code == 200, answer.text
    [push] = await pushes(notifier, case_id)
    facts = json.loads(push["facts"])
    assert (facts["order_id"], facts["version"], facts["status"]) == (order["id"], 2, "pending")


async def test_a_refused_order_pushes_nothing(notifier: Door) -> None:
    await a_target(notifier, "CCB")
    case_id = await new_case(notifier)
    assert (await give(notifier, case_id, "release_stop", reason="误报")).status_code == 409
    assert await pushes(notifier, case_id) == []


async def test_an_unanswered_order_is_pushed_again_as_a_new_message_about_the_same_order(notifier: Door) -> None:
    await a_target(notifier, "CCB")
    case_id = await new_case(notifier)
    order = await ordered(notifier, case_id)
    async with notifier.pool.acquire() as connection, connection.transaction():
        about = await store.locked_case(connection, UUID(case_id))
        [stands] = await order_store.orders_in(connection, UUID(case_id))
        assert about is not None
        await pushing.push(connection, [(stands, about)], again=True)
    first, second = await pushes(notifier, case_id)
    assert first["message_id"] != second["message_id"]
    told = [json.loads(row["facts"]) for row in (first, second)]
    assert [(one["order_id"], one["again"]) for one in told] == [(order["id"], False), (order["id"], True)]
    assert second["after"] == timedelta(milliseconds=300)


async def test_an_order_on_an_account_further_on_goes_to_its_bank_which_answers_in_turn(
    notifier: Door, intake: Door
) -> None:
    first, second, third = an_account(), an_account(), an_account()
    case_id = await a_case(notifier, a_verdict(first))
    await stopped(notifier, case_id, moved_to(second, 3_000))
    onward_id = await followed(notifier, case_id, second)
    order = await ordered(notifier, case_id, onward_id=onward_id)
    [row] = [row for row in await promised(notifier, case_id) if str(row["id"]) == order["id"]]
    await banks_side.hear(intake.pool, [OrderChanged.model_validate_json(row["payload"])])
    path = f"/v1/orders/{order['id']}"
    assert (await intake.client.get(path, headers=bank("CCB"))).status_code == 404
    shown = (await intake.client.get(path, headers=bank("ABC"))).json()
    assert (shown["payee"]["account"], shown["payee"]["name"]) == (second, ONWARD_NAME)
    assert (shown["payer"]["account"], shown["payer"]["bank_code"]) == (first, "CCB")
    body = {
        "result": "success",
        "stopped_fen": 0,
        "executed_at": now().isoformat(),
        "onward": [{**moved_to(third, 2_999, "BOC"), "account_type": "corporate"}],
    }
    answer = await intake.client.post(f"{path}/feedback", json=body, headers=bank("ABC"))
    assert answer.status_code == 200, answer.text
    [row] = await intake.rows("select payload from outbox where id = $1", UUID(answer.json()["id"]))
    await hear(notifier.pool, FeedbackReceived.model_validate_json(row["payload"]))
    nodes = await accounts_of(notifier, case_id)
    assert [(node["level"], node["bank"]) for node in nodes] == [(1, "CCB"), (2, "ABC"), (3, "BOC")]
    last = await ordered(notifier, case_id, onward_id=nodes[-1]["id"])
    assert last["bank"] == "BOC"
    [row] = [row for row in await promised(notifier, case_id) if str(row["id"]) == last["id"]]
    assert OrderChanged.model_validate_json(row["payload"]).payee_account_type is AccountType.CORPORATE


async def test_a_banks_own_system_receives_its_order_signed_and_a_moment_after_the_pull_can_show_it(dsn: str) -> None:
    async with receiving() as receiver, connected(dsn) as connection, notifier_door(dsn) as door:
        await targets.add(connection, IDENTITY, (Owner.BANK, "CCB"), Channel.WEBHOOK, receiver.url + "orders", SECRET)
        order = await ordered(door, await new_case(door))
        [request] = await receiver.received(1)
        arrived = now()
    body = Webhook(SECRET).verify(request.body, request.headers)
    assert (request.path, body["type"]) == ("/orders", "lanjie.order.v1")
    assert (body["data"]["order_id"], body["data"]["link"]) == (order["id"], f"/v1/orders/{order['id']}")
    assert arrived - datetime.fromisoformat(order["ordered_at"]) > pushing.PULL_FINDS_IT
    assert not any(clear in request.body.decode() for clear in CLEAR_TEXTS)
