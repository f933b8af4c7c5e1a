"""What reaches whom at once: whoever takes a shift over, and whoever is alerted by what an officer does at the door."""

import asyncio
import time
from collections.abc import Awaitable

from tests.fakes.receiver import Receiver, receiving
from tests.parts import Door, notifier_door
from tests.service.notifier.builders import a_verdict, an_account
from tests.service.notifier.clockwork import fire
from tests.service.notifier.hooks import add
from tests.service.notifier.police import CITY, LUOHU, a_case, acknowledge, done, new_case, ordered
from tests.service.notifier.reach import CUIZHU_OFFICER, LUOHU_SUPERVISOR, add_officer, on_duty, reachable
from tests.service.notifier.test_approvals import MUCH
from tests.service.notifier.test_duty import COLLEAGUE, hand_over


async def told_her(door: Door) -> list[tuple[str, str, str]]:
    """What the successor's addresses get: the case, the kind, the state."""
    rows = await door.rows(
        """
        select d.case_id::text, d.facts ->> 'kind' as kind, d.state from delivery d join target t on t.id = d.target_id
        join officer o on o.id = t.officer where o.name = $1 order by d.case_id
        """,
        COLLEAGUE,
    )
    return [(row["case_id"], row["kind"], row["state"]) for row in rows]


async def before_the_hand_over(door: Door) -> None:
    await add_officer(door.pool, COLLEAGUE, "SZ-LH-CZ")
    await on_duty(door.pool, CUIZHU_OFFICER)
    await reachable(door.pool, CUIZHU_OFFICER, COLLEAGUE)


async def test_the_successor_is_told_of_the_cases_nobody_has_acknowledged_and_of_no_others(notifier: Door) -> None:
    await before_the_hand_over(notifier)
    waits, taken, account = await new_case(notifier), await new_case(notifier), an_account()
    await acknowledge(notifier, taken)
    await a_case(notifier, a_verdict(an_account(), "ICBC-SZ-LH-002"))  # another station's
    joined, _ = [await a_case(notifier, a_verdict(account)) for _ in range(2)]
    assert await told_her(notifier) == []
    for _ in range(2):
        assert (await hand_over(notifier)).status_code == 200
    assert await told_her(notifier) == sorted([(waits, "opened", "pending"), (joined, "joined", "pending")])
    await acknowledge(notifier, waits)
    assert (waits, "opened", "moot") in await told_her(notifier)


async def test_the_successor_hears_nothing_of_a_case_that_went_to_another_unit(notifier: Door) -> None:
    await before_the_hand_over(notifier)
    case_id = await new_case(notifier)
    await done(notifier, case_id, "transfer", unit="SZ-FT", reason="属地管辖")
    await hand_over(notifier)
    assert await told_her(notifier) == []


async def test_the_successor_of_an_upper_unit_is_told_of_what_was_escalated_to_it(notifier: Door) -> None:
    await add_officer(notifier.pool, COLLEAGUE, "SZ-LH")
    await on_duty(notifier.pool, LUOHU_SUPERVISOR, unit="SZ-LH")
    await reachable(notifier.pool, COLLEAGUE, LUOHU_SUPERVISOR, CUIZHU_OFFICER)
    case_id = await new_case(notifier)
    await notifier.pool.execute("update deadline set due_at = now()")
    await fire(notifier.pool)
    await hand_over(notifier, COLLEAGUE, LUOHU)
    assert await told_her(notifier) == [(case_id, "escalated", "pending")]


async def test_an_alert_at_the_moment_of_a_hand_over_reaches_the_successor(notifier: Door) -> None:
    await before_the_hand_over(notifier)
    alerted = asyncio.gather(*(new_case(notifier) for _ in range(20)))
    answer, cases = await asyncio.gather(hand_over(notifier), alerted)
    assert answer.status_code == 200
    assert {case_id for case_id, _, _ in await told_her(notifier)} == set(cases)


async def seconds_until(receiver: Receiver, step: Awaitable[object]) -> float:
    """How long after a step the next request comes in."""
    number, began = len(receiver.requests) + 1, time.monotonic()
    await step
    await receiver.received(number)
    return time.monotonic() - began


async def test_what_an_officer_sets_going_reaches_units_systems_at_once(dsn: str) -> None:
    async with receiving() as receiver, notifier_door(dsn) as door:
        for unit in ("SZ-LH", "SZ-FT"):
            await add(dsn, unit, receiver)
        waited = []
        for _ in range(5):
            case_id = await a_case(door, a_verdict(an_account(), amount_fen=MUCH))
            await receiver.received(len(receiver.requests) + 1)
            waited.append(await seconds_until(receiver, ordered(door, case_id)))
            transfer = done(door, await new_case(door), "transfer", CITY, unit="SZ-FT", reason="属地管辖")
            waited.append(await seconds_until(receiver, transfer))
        assert sum(waited) / len(waited) < 0.2, "nobody waits for the courier's next look, twice a second"
