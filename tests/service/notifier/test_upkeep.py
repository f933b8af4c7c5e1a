"""What is over is forgotten in time: deliveries, deadlines, alerts. What proves something stays."""

import asyncio
from datetime import timedelta

from services.notifier.upkeep import keep_up, kept_up
from shared.postgres import Pool
from tests.parts import Door
from tests.service.notifier.builders import a_verdict, an_account, now, take, until
from tests.service.notifier.police import CUIZHU, new_case
from tests.service.notifier.reach import reachable_unit

KEPT = timedelta(days=90)
EVIDENCE = ("report", "fraud_case", "timeline", "ledger", "audit", "case_unit")
FORGOTTEN = ("delivery", "deadline", "alert")


async def acknowledged(door: Door, case_id: str) -> None:
    answer = await door.client.post(f"/v1/cases/{case_id}/acknowledge", headers=CUIZHU)
    assert answer.status_code == 200, answer.text


async def numbers(door: Door, tables: tuple[str, ...]) -> dict[str, int]:
    return {table: await door.count(table) for table in tables}


async def make_old(pool: Pool) -> None:
    """Let all that was settled, has ended, or was posted, be so since a hundred days ago."""
    then = now() - timedelta(days=100)
    await pool.execute("update delivery set state = 'delivered', settled_at = $1", then)
    await pool.execute("update deadline set ended_at = $1 where state <> 'running'", then)
    await pool.execute("update alert set created_at = $1", then)


async def test_what_was_over_long_ago_goes_and_the_evidence_stays(notifier: Door) -> None:
    await reachable_unit(notifier.pool, "SZ-LH-CZ")
    await acknowledged(notifier, await new_case(notifier))
    before = await numbers(notifier, EVIDENCE)
    assert await keep_up(notifier.pool, now() - KEPT) == 0
    await make_old(notifier.pool)
    assert await keep_up(notifier.pool, now() - KEPT) == 3
    assert await notifier.rows("select state, stage from deadline") == [{"state": "running", "stage": "order"}]
    assert await numbers(notifier, ("delivery", "alert")) == {"delivery": 0, "alert": 0}
    assert await numbers(notifier, EVIDENCE) == before


async def test_alerts_that_nobody_has_answered_stay_however_old(notifier: Door) -> None:
    await new_case(notifier)
    await make_old(notifier.pool)
    assert await keep_up(notifier.pool, now() - KEPT) == 0
    assert await numbers(notifier, FORGOTTEN) == {"delivery": 0, "deadline": 1, "alert": 1}


async def old_deliveries(pool: Pool, number: int) -> None:
    await reachable_unit(pool, "SZ-LH-CZ")
    await take(pool, *(a_verdict(an_account()) for _ in range(number)))
    await make_old(pool)


async def test_it_takes_page_after_page(pool: Pool) -> None:
    await old_deliveries(pool, 7)
    assert await keep_up(pool, now() - KEPT, page=3) == 7
    assert await pool.fetchval("select count(*) from delivery") == 0


async def test_replicas_share_what_is_to_be_forgotten(pool: Pool) -> None:
    await old_deliveries(pool, 20)
    both = await asyncio.gather(*(keep_up(pool, now() - KEPT, page=3) for _ in range(2)))
    assert sum(both) + await keep_up(pool, now() - KEPT) == 20, "what one held, the next upkeep takes"
    assert await pool.fetchval("select count(*) from delivery") == 0


async def test_a_replica_begins_with_it(pool: Pool) -> None:
    await reachable_unit(pool, "SZ-LH-CZ")
    await take(pool, a_verdict())
    await make_old(pool)

    async def gone() -> bool:
        return not await pool.fetchval("select count(*) from delivery")

    async with kept_up(pool, KEPT):
        await until(gone)
