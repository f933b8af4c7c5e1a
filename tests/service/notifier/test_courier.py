"""The courier: what is pending is delivered, whoever dies, starts or works beside it."""

import asyncio

from services.notifier.alerting import delivery_store
from services.notifier.alerting.channels.limits import PUBLISHED
from services.notifier.alerting.lane import Pace
from shared.postgres import Pool, open_pool
from tests.fakes.receiver import Fault, receiving
from tests.service.notifier.builders import a_verdict, an_account, take, until
from tests.service.notifier.hooks import a_courier, add, an_alert, delivering, settled, state_of
from tests.service.notifier.test_pacing import alerts, later


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


async def test_a_courier_that_stops_gives_back_what_it_has_not_tried_and_calls_nobody_any_more(
    dsn: str, pool: Pool
) -> None:
    async with receiving(last=Fault.LATE) as slow:
        await add(dsn, "SZ-LH-CZ", slow)
        await alerts(pool, 30)
        courier = a_courier(pool, timeout_seconds=5)
        courier.open()
        await slow.received(8)
        await courier.close()
        await asyncio.sleep(0.1)  # whatever it might have begun on its way out
        assert len(slow.requests) == 8
    assert await pool.fetchval("select count(*) from delivery where state = 'delivered'") == 8
    waits = "select count(*) from delivery where state = 'pending' and due_at <= now() and attempts = 0"
    assert await pool.fetchval(waits) == 22, "another replica takes them at once"


async def test_what_others_have_taken_from_a_target_that_is_back_is_not_sent_twice(dsn: str, pool: Pool) -> None:
    small = await open_pool(dsn, "notifier", most=2)

    async def keep_busy() -> None:
        while True:
            await small.execute("select pg_sleep(0.05)")

    async with receiving(*[503] * 5) as receiver:
        await add(dsn, "SZ-LH-CZ", receiver)
        await alerts(pool, 5)
        patient = Pace(look_every=0.001, first_wait=60, first_rest=10)
        async with delivering(small, patient):

            async def rests() -> bool:
                return bool(await pool.fetchval("select failures = 5 from target"))

            await until(rests)
            await alerts(pool, 600)
            others = [asyncio.create_task(keep_busy()) for _ in range(6)]  # so that each of its statements waits
            await pool.execute("update delivery set due_at = now()")
            await later(pool, 10)
            await receiver.received(6)  # the probe, and that is taken
            async with delivering(pool, patient):
                await settled(pool)
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
    await small.close()
    assert len(receiver.requests) == 5 + 605
