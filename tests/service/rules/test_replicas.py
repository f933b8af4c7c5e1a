"""Two replicas of the judge on one database: no verdict twice, and nobody waits in a circle.

Each test holds one row in the middle, so that both replicas stand half-way when it is let go: if they took
their rows in different orders, each would then wait for the other.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from services.rules import handlers
from shared.events import OutcomeDecided, VerdictReached
from shared.outbox import Outgoing
from shared.postgres import Pool
from tests.service.rules.builders import HINT, NOW, SCAM, a_filed_report, an_outcome, deliver, judge


@asynccontextmanager
async def held(pool: Pool, sql: str, *values: object) -> AsyncIterator[None]:
    """Hold what `sql` locks until two others wait, and let go of it."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(sql, *values)
        yield
        async with asyncio.timeout(10):
            while await _waiting(pool) < 2:  # noqa: ASYNC110 - the server tells it to those who ask
                await asyncio.sleep(0.005)
        await transaction.rollback()


async def _waiting(pool: Pool) -> int:
    sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    count: int = await pool.fetchval(sql)
    return count


async def test_two_replicas_with_the_same_batch_reach_one_verdict_each(pool: Pool, other_pool: Pool) -> None:
    reports = [a_filed_report((SCAM, HINT, "")[place % 3], payee_token=f"payee-{place % 4}") for place in range(60)]
    (one, one_said), (two, two_said) = await asyncio.gather(deliver(pool, reports), deliver(other_pool, reports))
    assert sorted(v.report.report_id for v in [*one, *two]) == sorted(report.report_id for report in reports)
    assert _by_id(one_said) == _by_id(two_said)
    assert await pool.fetchval("select count(*) from verdict") == 60
    assert await pool.fetchval("select sum(reports) from branch_hour") == 60


async def test_two_replicas_with_the_same_batch_in_opposite_orders_do_not_block_each_other(
    pool: Pool, other_pool: Pool
) -> None:
    reports = [a_filed_report() for _ in range(5)]
    middle = """
        insert into sighting (report_id, payee_token, payer_token, bank, branch, amount_fen, filed_at)
        values ($1, '', '', '', '', 1, now())
    """
    async with held(pool, middle, reports[2].report_id):
        deliveries = [
            asyncio.create_task(deliver(pool, reports)),
            asyncio.create_task(deliver(other_pool, reports[::-1])),
        ]
    (_, one_said), (_, two_said) = await asyncio.gather(*deliveries)
    assert _by_id(one_said) == _by_id(two_said)
    assert await pool.fetchval("select count(*) from verdict") == 5


async def test_two_replicas_that_count_the_same_branches_in_opposite_orders_do_not_block_each_other(
    pool: Pool, other_pool: Pool
) -> None:
    branches = [f"ICBC-SZ-LH-00{place}" for place in range(5)]
    await judge(pool, *(a_filed_report(branch=branch) for branch in branches))
    ups = [a_filed_report(branch=branch) for branch in branches]
    downs = [a_filed_report(branch=branch) for branch in branches[::-1]]
    async with held(pool, "select from branch_hour where branch = $1 for update", branches[2]):
        deliveries = [asyncio.create_task(deliver(pool, ups)), asyncio.create_task(deliver(other_pool, downs))]
    await asyncio.gather(*deliveries)
    counted = await pool.fetch("select branch, reports, amount_fen from branch_hour order by branch")
    assert [(row["branch"], row["reports"], row["amount_fen"]) for row in counted] == [
        (branch, 3, 900_000) for branch in branches
    ]


async def test_two_replicas_that_repeat_the_same_verdicts_in_opposite_orders_do_not_block_each_other(
    pool: Pool, other_pool: Pool
) -> None:
    reports = [a_filed_report() for _ in range(5)]
    verdicts = await judge(pool, *reports)
    await pool.execute("delete from outbox")
    middle = """
        insert into outbox (id, topic, key, type, payload, traceparent, awaits_answer, due_at)
        values ($1, '', '', '', '', '', false, now())
    """
    async with held(pool, middle, verdicts[2].verdict_id):
        deliveries = [
            asyncio.create_task(deliver(pool, reports)),
            asyncio.create_task(deliver(other_pool, reports[::-1])),
        ]
    (_, one_said), (_, two_said) = await asyncio.gather(*deliveries)
    assert _by_id(one_said) == _by_id(two_said)
    assert {VerdictReached.model_validate_json(row.payload).verdict_id for row in one_said} == {
        verdict.verdict_id for verdict in verdicts
    }


async def test_two_replicas_with_the_same_outcomes_in_opposite_orders_do_not_block_each_other(
    pool: Pool, other_pool: Pool
) -> None:
    outcomes = [an_outcome(f"payee-{place}", decided_at=NOW + timedelta(seconds=place)) for place in range(5)]
    middle = "insert into outcome (id, case_id, finding, payee_token, applied_at) values ($1, $1, '', '', now())"
    async with held(pool, middle, outcomes[2].outcome_id):
        deliveries = [_apply(pool, outcomes), _apply(other_pool, outcomes[::-1])]
    one, two = await asyncio.gather(*deliveries)
    assert {row.id for row in one} == {row.id for row in two} == {outcome.outcome_id for outcome in outcomes}
    assert await pool.fetchval("select count(*) from payee_standing where watched") == 5


def _apply(pool: Pool, outcomes: Sequence[OutcomeDecided]) -> asyncio.Task[list[Outgoing]]:
    return asyncio.create_task(handlers.apply_outcomes(pool, outcomes, NOW))


def _by_id(rows: Sequence[Outgoing]) -> dict[object, bytes]:
    return {row.id: row.payload for row in rows}
