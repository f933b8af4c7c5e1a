"""The courier: what is pending is delivered, whoever dies, starts or works beside it."""

import asyncio

from services.notifier.alerting import delivery_store
from services.notifier.alerting.channels.limits import PUBLISHED
from services.notifier.alerting.lane import Pace
from shared.postgres import Pool
from tests.fakes.receiver import receiving
from tests.service.notifier.builders import a_verdict, an_account, take
from tests.service.notifier.hooks import a_courier, add, an_alert, delivering, settled, state_of


async def test_a_courier_that_starts_takes_up_what_is_pending(dsn: str, pool: Pool) -> None:
    async with receiving(503) as receiver:
        await add(dsn, "SZ-LH-CZ", receiver)
        alert_id = await an_alert(pool)
        async with delivering(pool, Pace(look_every=0.01, first_wait=0.5)):
            await receiver.received(1)
        assert (await state_of(pool))[:2] == ("pending", 1)
        async with delivering(pool):
            await receiver.received(2)
            await settled(pool)
    assert [request.headers["webhook-id"] for request in receiver.requests] == [alert_id, alert_id]
    assert (await state_of(pool))[:2] == ("delivered", 2)


async def test_what_a_courier_took_and_did_not_finish_is_due_again_after_its_lease(dsn: str, pool: Pool) -> None:
    async with receiving() as receiver:
        await add(dsn, "SZ-LH-CZ", receiver)
        alert_id = await an_alert(pool)
        [taken] = await delivery_store.claim_due(pool, 10, 0.3, PUBLISHED, {})  # and then the courier dies
        assert await delivery_store.claim_due(pool, 10, 0.3, PUBLISHED, {}) == [], "nobody else takes it meanwhile"
        async with delivering(pool):
            await settled(pool)
    assert str(taken.message_id) == alert_id
    assert [request.headers["webhook-id"] for request in receiver.requests] == [alert_id]
    assert (await state_of(pool))[:2] == ("delivered", 2)


async def test_couriers_side_by_side_send_each_alert_once(dsn: str, pool: Pool) -> None:
    async with receiving() as receiver, delivering(pool), delivering(pool):
        await add(dsn, "SZ-LH-CZ", receiver)
        await take(pool, *(a_verdict(account=an_account()) for _ in range(80)))
        await receiver.received(80)
        await settled(pool)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == len(receiver.requests) == 80


async def test_a_courier_that_is_told_to_hurry_and_then_to_stop_stops(pool: Pool) -> None:
    for steps in range(6):
        courier = a_courier(pool, Pace(look_every=60))
        courier.open()
        await asyncio.sleep(0)
        courier.hurry()
        for _ in range(steps):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await courier.close()
