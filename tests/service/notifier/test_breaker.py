"""Targets that fail: they are left alone, longer each time; nothing is lost, and nobody else waits for them."""

import asyncio
from datetime import timedelta

from services.notifier.alerting import delivery_store
from services.notifier.alerting.channels.limits import PUBLISHED, Channel
from services.notifier.alerting.lane import Pace
from services.notifier.metrics import Metrics
from shared.postgres import Pool
from tests.fakes.receiver import Fault, json_said, receiving
from tests.service.notifier.builders import until
from tests.service.notifier.hooks import add, an_alert, delivering, settled, target
from tests.service.notifier.test_pacing import alerts, later

PATIENT = Pace(look_every=0.01, first_wait=60, first_rest=10, longest_rest=300)


async def rest_of(pool: Pool) -> timedelta | None:
    found: timedelta | None = await pool.fetchval("select closed_until - now() from target")
    return found


async def test_five_failures_in_a_row_and_a_target_is_left_alone_without_using_up_tries(dsn: str, pool: Pool) -> None:
    metrics = Metrics()
    async with receiving(last=503) as receiver:
        await add(dsn, "SZ-LH-CZ", receiver)
        await alerts(pool, 40)
        async with delivering(pool, PATIENT, metrics):

            async def rests() -> bool:
                return bool(await pool.fetchval("select failures = 5 and closed_until > now() from target"))

            await until(rests)
        tries = len(receiver.requests)
        assert 5 <= tries <= 16, "two rounds of calls at most"
        assert await pool.fetchval("select sum(attempts) from delivery") == tries, "what was not tried counts no try"
        rest = await rest_of(pool)
        assert rest is not None
        assert timedelta(seconds=8) < rest <= timedelta(seconds=10)
        assert await delivery_store.resting_targets(pool) == {"webhook": 1}
    retried = metrics.registry.get_sample_value(
        "lanjie_deliveries_total", {"channel": "webhook", "owner": "unit", "outcome": "retry", "reason": "status"}
    )
    assert retried == tries


async def test_one_probe_is_sent_after_the_rest_which_doubles_until_the_probe_is_taken(dsn: str, pool: Pool) -> None:
    async with receiving(*[503] * 7) as receiver:
        await add(dsn, "SZ-LH-CZ", receiver)
        await alerts(pool, 5)
        async with delivering(pool, PATIENT), delivering(pool, PATIENT):
            for failures, seconds in ((5, 10), (6, 20), (7, 40)):

                async def rests(failures: int = failures, seconds: int = seconds) -> bool:
                    return bool(
                        await pool.fetchval(
                            """
                            select failures = $1 and closed_until > now() + ($2 - 3) * interval '1 second' from target
                            """,
                            failures,
                            seconds,
                        )
                    )

                await until(rests)
                assert len(receiver.requests) == failures
                await pool.execute("update delivery set due_at = now() where state = 'pending'")
                await later(pool, seconds)
            await settled(pool)  # the eighth try is taken, and brings the others with it before their time
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 5
    assert await pool.fetchval("select count(*) from delivery where state = 'delivered'") == 5
    assert tuple(await pool.fetchrow("select failures, closed_until from target") or ()) == (0, None)


async def test_what_a_target_failed_to_take_is_due_at_once_when_it_is_back(dsn: str, pool: Pool) -> None:
    async with receiving(*[503] * 5) as receiver:
        await add(dsn, "SZ-LH-CZ", receiver)
        await alerts(pool, 5)
        async with delivering(pool, PATIENT):

            async def rests() -> bool:
                return bool(await pool.fetchval("select failures = 5 from target"))

            await until(rests)
            await an_alert(pool)  # due now; the others in a minute
            await later(pool, 10)
            await settled(pool)
    assert len(receiver.requests) == 11


async def test_a_courier_that_dies_with_the_probe_in_hand_leaves_it_to_others(dsn: str, pool: Pool) -> None:
    await target(dsn, Channel.WEBHOOK, "http://127.0.0.1:9/", secret="whsec_dGhlIHNlY3JldA==")
    await alerts(pool, 3)
    await pool.execute("update target set failures = 6, closed_until = now()")
    [probe] = await delivery_store.claim_due(pool, 10, 30, PUBLISHED, {})
    assert probe.probe
    assert await delivery_store.claim_due(pool, 10, 30, PUBLISHED, {}) == [], "one at a time"
    await later(pool, 30)
    assert len(await delivery_store.claim_due(pool, 10, 30, PUBLISHED, {})) == 1


async def test_a_target_that_hangs_holds_up_nobody_else(dsn: str, pool: Pool) -> None:
    async with (
        receiving(last=Fault.HANG) as slow,
        receiving() as quick,
        receiving(last=json_said({"errcode": 0})) as robot,
        delivering(pool, timeout_seconds=60),
    ):
        await add(dsn, "SZ-LH-CZ", slow)
        await alerts(pool, 30)
        await slow.received(8)
        await add(dsn, "SZ-LH-CZ", quick)
        await target(dsn, Channel.WECOM, robot.url)
        await alerts(pool, 30)
        await asyncio.gather(quick.received(30), robot.received(1))
        assert len(slow.requests) == 8, "so many at a time"


async def test_a_private_address_is_not_called_unless_it_is_allowed_by_name(dsn: str, pool: Pool) -> None:
    async with receiving() as receiver:
        await add(dsn, "SZ-LH-CZ", receiver)
        await an_alert(pool)
        async with delivering(pool, allowed_private_hosts="10.0.0.7, intranet.example"):

            async def tried() -> bool:
                return await pool.fetchval("select last_reason from delivery") is not None

            await until(tried)
        assert receiver.requests == []
        reason = await pool.fetchval("select last_reason from delivery")
        assert reason == "destination in a private network: see ALLOWED_PRIVATE_HOSTS"
        async with delivering(pool):
            await settled(pool)
    assert len(receiver.requests) == 1
