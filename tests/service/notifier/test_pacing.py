"""Pace: what comes together goes together, and never faster than a provider takes, however many couriers there are."""

import asyncio
from uuid import UUID

import pytest

from services.notifier.alerting import delivery_store
from services.notifier.alerting.channels.limits import Channel, limits_of
from services.notifier.duty import link
from shared.postgres import Pool
from tests.fakes.mail_server import mail_server
from tests.fakes.receiver import Said, json_said, receiving
from tests.parts import TOKENS, officers
from tests.service.notifier.builders import a_verdict, an_account, now, take, until
from tests.service.notifier.hooks import add, an_alert, delivering, settled, target

TAKEN = json_said({"errcode": 0, "code": 0})
LIMITS = limits_of(6)


async def alerts(pool: Pool, number: int) -> None:
    await take(pool, *(a_verdict(account=an_account()) for _ in range(number)))


async def later(pool: Pool, seconds: float) -> None:
    """Let time pass, as targets see it."""
    await pool.execute(
        """
        update target set paced_until = paced_until - $1 * interval '1 second',
                          closed_until = closed_until - $1 * interval '1 second'
        """,
        seconds,
    )


async def test_twenty_alerts_become_one_message_to_a_robot_and_twenty_to_a_webhook(dsn: str, pool: Pool) -> None:
    async with receiving(last=TAKEN) as robot, receiving() as hook:
        await target(dsn, Channel.WECOM, robot.url + "send?key=k")
        await add(dsn, "SZ-LH-CZ", hook)
        await alerts(pool, 20)
        async with delivering(pool):
            await settled(pool)
    [request] = robot.requests
    assert "可疑转账预警等 20 条" in request.json()["markdown"]["content"]
    assert len({request.headers["webhook-id"] for request in hook.requests}) == 20


@pytest.mark.parametrize("channel", [Channel.WECOM, Channel.DINGTALK])
async def test_a_robot_gets_five_at_once_and_what_comes_after_goes_together_when_it_may(
    dsn: str, pool: Pool, channel: Channel
) -> None:
    async with receiving(last=TAKEN) as robot:
        await target(dsn, channel, robot.url)
        async with delivering(pool), delivering(pool):
            for _ in range(5):
                await alerts(pool, 1)
                await settled(pool)
            await alerts(pool, 3)
            assert await delivery_store.claim_due(pool, 10, 30, LIMITS, {}) == []
            assert len(robot.requests) == 5
            await later(pool, 4)
            await settled(pool)
    assert len(robot.requests) == 6
    assert "等 3 条" in robot.requests[5].body.decode()


async def claimed_in(pool: Pool, seconds: int, step: float) -> int:
    """How many messages could go to one target within a time, if there is always something to say."""
    loop = asyncio.get_running_loop()
    times, began = 0, loop.time()
    for _ in range(round(seconds / step)):
        await pool.execute("update delivery set state = 'pending', due_at = now()")
        times += bool(await delivery_store.claim_due(pool, 10, 30, LIMITS, {}))
        began, passed = loop.time(), loop.time() - began
        await later(pool, step - passed)  # some of it has passed by itself
    return times


@pytest.mark.parametrize(("channel", "most"), [(Channel.WECOM, 20), (Channel.DINGTALK, 20), (Channel.FEISHU, 100)])
async def test_no_minute_sees_more_messages_than_the_provider_takes(
    dsn: str, pool: Pool, channel: Channel, most: int
) -> None:
    await target(dsn, channel, "https://robot.example/")
    await alerts(pool, 1)
    number = await claimed_in(pool, 60, 0.5)
    assert most * 0.9 <= number <= most


async def test_who_asks_to_be_left_alone_is_left_alone_and_that_is_no_failure(dsn: str, pool: Pool) -> None:
    async with receiving(Said(429, b"", (("retry-after", "120"),))) as hook, delivering(pool):
        await add(dsn, "SZ-LH-CZ", hook)
        await an_alert(pool)

        async def paused() -> bool:
            return bool(await pool.fetchval("select closed_until > now() + interval '100 s' from target"))

        await until(paused)
        await an_alert(pool)
        assert await delivery_store.claim_due(pool, 10, 30, LIMITS, {}) == []
        assert await pool.fetchval("select failures from target") == 0
        await later(pool, 120)
        await pool.execute("update delivery set due_at = now()")
        await settled(pool)
    assert len(hook.requests) == 3


async def test_a_phone_gets_no_more_than_its_settings_say(dsn: str, pool: Pool) -> None:
    await target(dsn, Channel.SMS, "13900000002")
    await alerts(pool, 1)
    assert 5 <= await claimed_in(pool, 60, 2) <= 6


async def test_an_officer_gets_a_link_that_acknowledges_and_a_unit_does_not(dsn: str, pool: Pool) -> None:
    officer = next(one["name"] for one in officers() if one["unit"] == "SZ-LH-CZ" and one["role"] == "officer")
    async with mail_server() as server:
        await target(dsn, Channel.MAIL, "officer@sz.example", officer=officer)
        await target(dsn, Channel.MAIL, "unit@sz.example")
        await alerts(pool, 1)
        base = "https://lanjie.example/"
        async with delivering(pool, smtp_url=server.url, mail_from="a@lanjie.example", public_url=base):
            await settled(pool)
    texts = {mail["To"]: mail.get_body(("plain",)).get_content() for mail in server.mails}  # type: ignore[union-attr]
    assert "https://" not in texts["unit@sz.example"]
    token = texts["officer@sz.example"].split("https://lanjie.example/a/")[1].split()[0]
    named = link.read(token, TOKENS, now())
    assert isinstance(named, UUID)
    owner = await pool.fetchval(
        "select t.officer from delivery d join target t on t.id = d.target_id where d.id = $1", named
    )
    assert owner is not None


async def test_what_was_taken_on_is_no_longer_sent_to_officers_and_still_to_units(dsn: str, pool: Pool) -> None:
    officer = next(one["name"] for one in officers() if one["unit"] == "SZ-LH-CZ" and one["role"] == "officer")
    await target(dsn, Channel.SMS, "13900000002", officer=officer)
    await target(dsn, Channel.SMS, "13900000003")
    await alerts(pool, 1)
    async with pool.acquire() as connection:
        cases = [row["case_id"] for row in await connection.fetch("select distinct case_id from delivery")]
        assert await delivery_store.moot(connection, cases) == 1
        assert await delivery_store.moot(connection, cases) == 0
    rows = await pool.fetch("select d.state, t.unit from delivery d join target t on t.id = d.target_id order by state")
    assert [(row["state"], row["unit"]) for row in rows] == [("moot", None), ("pending", "SZ-LH-CZ")]
