"""From the alert to the officer's phone and back: the first step, the next one, the link in the message."""

import re

from services.notifier.alerting.channels.limits import Channel
from shared.postgres import Pool
from tests.fakes.receiver import Receiver, json_said, receiving
from tests.parts import notifier_door
from tests.service.notifier.builders import a_verdict, an_account, take, until
from tests.service.notifier.hooks import delivering, target
from tests.service.notifier.police import case_of
from tests.service.notifier.reach import CUIZHU_OFFICER, states, told

TAKEN = json_said({"errcode": 0})
BASE = "https://police.example"
LATER = 600
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def steps(dsn: str, pool: Pool, robot: Receiver) -> None:
    """Reach an officer at once, and ten minutes later at another address."""
    for step in ("first", "second"):
        target_id = await target(dsn, Channel.WECOM, f"{robot.url}{step}?key=k", officer=CUIZHU_OFFICER)
        await pool.execute("update target set delay_seconds = $2 where id = $1", target_id, (step == "second") * LATER)


async def ten_minutes_pass(pool: Pool) -> None:
    """Make the second step due."""
    await pool.execute("update delivery set due_at = due_at - $1 * interval '1 second'", LATER)


async def first_step_done(pool: Pool) -> None:
    async def done() -> bool:
        return "delivered" in [state for _, _, state in await told(pool)]

    await until(done)


async def test_the_second_step_goes_out_when_its_delay_has_passed_and_nobody_has_acknowledged(
    dsn: str, pool: Pool
) -> None:
    async with receiving(last=TAKEN) as robot, delivering(pool, public_url=BASE):
        await steps(dsn, pool, robot)
        await take(pool, a_verdict(account=an_account()))
        await robot.received(1)
        await first_step_done(pool)
        assert [request.path.partition("?")[0] for request in robot.requests] == ["/first"]
        await ten_minutes_pass(pool)
        await robot.received(2)
        assert [request.path.partition("?")[0] for request in robot.requests] == ["/first", "/second"]


async def test_the_link_in_the_message_acknowledges_and_no_second_step_goes_out(dsn: str, pool: Pool) -> None:
    async with receiving(last=TAKEN) as robot, notifier_door(dsn, public_url=BASE) as door:
        await steps(dsn, pool, robot)
        taken = await take(pool, a_verdict(account=an_account()))
        [request] = await robot.received(1)
        await first_step_done(pool)
        [path] = set(re.findall(rf"{BASE}(/a/[A-Za-z0-9_-]+)", request.body.decode()))
        assert (await door.client.get(path)).status_code == 200
        assert "签收成功" in (await door.client.post(path, headers=FORM)).text
        case = await case_of(door, str(taken.placed[0].case_id))
        assert (case["status"], case["acknowledged_by"]) == ("acknowledged", CUIZHU_OFFICER)
        await ten_minutes_pass(pool)
        assert await states(pool) == [(CUIZHU_OFFICER, "delivered"), (CUIZHU_OFFICER, "moot")]
        await take(pool, a_verdict(account=an_account()))  # another case, whose message comes after
        await robot.received(2)
        assert [request.path.partition("?")[0] for request in robot.requests] == ["/first", "/first"]
