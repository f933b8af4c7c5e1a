"""Webhooks: alerts posted to a unit's own system, over real HTTP, whatever that system does."""

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.notifier import reference
from shared.postgres import Pool
from tests.fakes.receiver import Answer, Fault, receiving
from tests.parts import IDENTITY, notifier_door
from tests.service.notifier.builders import CLEAR_TEXTS, connected, until
from tests.service.notifier.hooks import (
    SECRET,
    TIMEOUT,
    UNHURRIED,
    add,
    an_alert,
    delivering,
    remove,
    settled,
    state_of,
)


async def test_an_alert_arrives_signed_thin_and_masked(dsn: str, pool: Pool) -> None:
    async with receiving() as receiver, delivering(pool):
        await add(dsn, "SZ-LH-CZ", receiver)
        alert_id = await an_alert(pool)
        [request] = await receiver.received(1)
        await settled(pool)
    assert (request.method, request.path) == ("POST", "/alerts")
    assert request.headers["webhook-id"] == alert_id
    body = Webhook(SECRET).verify(request.body, request.headers)
    assert body["type"] == "lanjie.alert.v1"
    assert (body["data"]["alert_id"], body["data"]["unit"]) == (alert_id, "SZ-LH-CZ")
    assert body["data"]["payee"] == {"name": "蒙**", "account": body["data"]["payee"]["account"], "bank_code": "CCB"}
    assert body["data"]["payee"]["account"].startswith("****")
    assert not any(clear in request.body.decode() for clear in CLEAR_TEXTS)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body.replace(b"SZ-LH-CZ", b"SZ-LH-DM"), request.headers)
    assert await state_of(pool) == ("delivered", 1, None)


async def test_an_open_door_delivers_by_itself(dsn: str) -> None:
    async with receiving() as receiver, notifier_door(dsn) as door:
        await add(dsn, "SZ", receiver)
        alert_id = await an_alert(door.pool)
        [request] = await receiver.received(1)
        await settled(door.pool)
        metrics = (await door.client.get("/metrics")).text
    assert request.headers["webhook-id"] == alert_id
    counted = 'lanjie_deliveries_total{channel="webhook",outcome="delivered",owner="unit",reason=""} 1.0'
    assert counted in metrics
    assert "lanjie_deliveries_waiting 0.0" in metrics


@pytest.mark.parametrize(
    ("script", "reasons"),
    [
        ((503, 503, 200), "503, 503, then taken"),
        ((Fault.HANG, 204), "timeout"),
        ((Fault.RESET, 200), "reset after reading"),
        ((Fault.DRIP, 200), "an answer a letter at a time"),
        ((429, 500, 404, Fault.RESET, 201), "all sorts"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_may_pass_is_tried_again_with_the_same_id_until_it_is_taken_once(
    dsn: str, pool: Pool, script: tuple[Answer, ...], reasons: str
) -> None:
    patience = TIMEOUT if {Fault.HANG, Fault.DRIP} & set(script) else UNHURRIED
    async with receiving(*script) as receiver, delivering(pool, timeout_seconds=patience):
        await add(dsn, "SZ-LH-CZ", receiver)
        alert_id = await an_alert(pool)
        await receiver.received(len(script))
        await settled(pool)
        other = await an_alert(pool)
        *tries, last = await receiver.received(len(script) + 1)
        await settled(pool)
    assert {request.headers["webhook-id"] for request in tries} == {alert_id}, reasons
    assert last.headers["webhook-id"] == other, "once it is taken it is not sent again"
    for request in tries:
        Webhook(SECRET).verify(request.body, request.headers)
    rows = await pool.fetch("select state, attempts from delivery order by attempts desc")
    assert [tuple(row) for row in rows] == [("delivered", len(script)), ("delivered", 1)]


@pytest.mark.parametrize("status", [301, 307, 308, 410])
async def test_a_redirect_is_not_followed_and_a_receiver_that_is_gone_is_not_asked_again(
    dsn: str, pool: Pool, status: int
) -> None:
    async with receiving(status) as receiver, delivering(pool):
        await add(dsn, "SZ-LH-CZ", receiver)
        await an_alert(pool)
        await settled(pool)
    assert [request.path for request in receiver.requests] == ["/alerts"]
    assert await state_of(pool) == ("dead", 1, f"status {status}")


async def test_a_receiver_that_is_not_there_is_waited_for(dsn: str, pool: Pool) -> None:
    async with receiving() as gone:
        await add(dsn, "SZ-LH-CZ", gone)
    async with delivering(pool):
        await an_alert(pool)

        async def tried_twice() -> bool:
            _, attempts, _ = await state_of(pool)
            return attempts >= 2

        await until(tried_twice)
    state, _, reason = await state_of(pool)
    assert (state, reason) == ("pending", "ConnectError")


async def test_an_alert_that_nobody_took_for_a_day_is_given_up(dsn: str, pool: Pool) -> None:
    async with receiving(503) as receiver:
        await add(dsn, "SZ-LH-CZ", receiver)
        await an_alert(pool)
        await pool.execute("update delivery set created_at = now() - interval '25 hours'")
        async with delivering(pool):
            await settled(pool)
    assert await state_of(pool) == ("dead", 1, "gave up after 1 day, 0:00:00: status 503")


async def test_the_nearest_unit_above_with_a_webhook_gets_the_alert(dsn: str, pool: Pool) -> None:
    async with receiving() as city, receiving() as luohu, receiving() as cuizhu, delivering(pool):
        for unit, receiver in (("SZ", city), ("SZ-LH", luohu), ("SZ-LH-CZ", cuizhu)):
            await add(dsn, unit, receiver)
        expected = {
            cuizhu: await an_alert(pool, "ICBC-SZ-LH-001"),
            luohu: await an_alert(pool, "ICBC-SZ-LH-002"),
            city: await an_alert(pool, "ICBC-SZ-FT-001"),
        }
        await settled(pool)
    for receiver, alert_id in expected.items():
        assert [request.headers["webhook-id"] for request in receiver.requests] == [alert_id]


async def test_every_webhook_of_a_unit_gets_the_alert_and_no_webhook_is_no_delivery(dsn: str, pool: Pool) -> None:
    async with receiving() as receiver, delivering(pool):
        await an_alert(pool)
        assert await pool.fetchval("select count(*) from delivery") == 0
        await add(dsn, "SZ-LH", receiver, "one")
        await add(dsn, "SZ-LH", receiver, "two")
        await an_alert(pool)
        await settled(pool)
    assert {request.path for request in receiver.requests} == {"/one", "/two"}
    assert len(receiver.requests) == 2


async def test_a_removed_webhook_gets_nothing_neither_new_nor_pending(dsn: str, pool: Pool) -> None:
    async with receiving() as receiver:
        webhook_id = await add(dsn, "SZ-LH-CZ", receiver)
        await an_alert(pool)
        assert await remove(dsn, webhook_id)
        assert not await remove(dsn, webhook_id), "it was removed before"
        await an_alert(pool)
        assert await pool.fetchval("select count(*) from delivery") == 1
        # an alert whose transaction had seen the webhook before it was removed
        await pool.execute("update delivery set state = 'pending'")
        async with delivering(pool):
            await settled(pool)
    assert receiver.requests == []
    assert await state_of(pool) == ("dead", 1, "target removed")


async def test_a_webhook_that_could_never_be_reached_is_not_stored(dsn: str, pool: Pool) -> None:
    async with connected(dsn) as connection:
        with pytest.raises(ValueError, match="webhook"):
            await reference.add_webhook(connection, IDENTITY, "SZ", "ftp://example.org", SECRET)
    assert await pool.fetchval("select count(*) from target") == 0


async def test_a_webhooks_secret_is_stored_sealed(dsn: str, pool: Pool) -> None:
    async with receiving() as receiver:
        webhook_id = await add(dsn, "SZ", receiver)
    sealed = await pool.fetchval("select sealed_secret from target")
    assert SECRET not in sealed
    assert IDENTITY.open(sealed, str(webhook_id)) == SECRET


async def test_a_webhook_whose_address_was_stored_before_addresses_were_sealed_is_still_served(
    dsn: str, pool: Pool
) -> None:
    async with receiving() as receiver, delivering(pool):
        await add(dsn, "SZ", receiver)
        await pool.execute("update target set address = $1", receiver.url + "alerts")
        await an_alert(pool)
        await settled(pool)
    assert [request.path for request in receiver.requests] == ["/alerts"]
