"""Two replicas of the judge on one database: no verdict twice, and nobody waits in a circle.

Each test holds one row in the middle, so that both replicas stand half-way when it is let go: if they took
their rows in different orders, each would then wait for the other.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from services.rules.locks import lock_payees
from shared.events import OutcomeDecided, VerdictReached
from shared.outbox import Outgoing
from shared.postgres import Pool
from tests.service.rules.builders import (
    HINT,
    NOW,
    SCAM,
    a_disposition,
    a_filed_report,
    an_outcome,
    apply,
    deliver,
    dispose,
    judge,
    rules_of,
    take,
    until_waiting,
)


@asynccontextmanager
async def held(pool: Pool, sql: str, *values: object) -> AsyncIterator[None]:
    """Hold what `sql` locks until two others wait, and let go of it."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(sql, *values)
        yield
        await until_waiting(pool, 2)
        await transaction.rollback()


async def test_two_replicas_with_the_same_batch_reach_one_verdict_each(pool: Pool, other_pool: Pool) -> None:
    reports = [a_filed_report((SCAM, HINT, "")[place % 3]) for place in range(60)]
    (one, one_said), (two, two_said) = await asyncio.gather(deliver(pool, reports), deliver(other_pool, reports))
    assert sorted(v.report.report_id for v in [*one, *two]) == sorted(report.report_id for report in reports)
    assert _by_id(one_said) == _by_id(two_said)
    assert await pool.fetchval("select count(*) from verdict") == 60
    assert await pool.fetchval("select sum(hours[25]) from branch_day") == 60


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
    async with held(pool, "select from branch_day where branch = $1 for update", branches[2]):
        deliveries = [asyncio.create_task(deliver(pool, ups)), asyncio.create_task(deliver(other_pool, downs))]
    await asyncio.gather(*deliveries)
    counted = await pool.fetch(
        "select branch, hours[25] as reports, amounts[121] as amounts from branch_day order by 1"
    )
    assert [tuple(row) for row in counted] == [(branch, 3, 3) for branch in branches]


async def test_two_replicas_that_repeat_the_same_second_verdicts_in_opposite_orders_do_not_block_each_other(
    pool: Pool, other_pool: Pool
) -> None:
    reports = [a_filed_report(filed_at=NOW - timedelta(minutes=1)) for _ in range(5)]
    await judge(pool, *reports)
    taken = await apply(pool, *(an_outcome(report.payee_token) for report in reports))
    verdicts = sorted((judged.event for judged in taken.again), key=lambda verdict: verdict.verdict_id)
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
    middle = """
        insert into outcome (id, case_id, finding, payee_token, decided_at, applied_at)
        values ($1, $1, '', '', now(), now())
    """
    async with held(pool, middle, outcomes[2].outcome_id):
        deliveries = [_apply(pool, outcomes), _apply(other_pool, outcomes[::-1])]
    one, two = await asyncio.gather(*deliveries)
    assert {row.id for row in one} == {row.id for row in two} == {outcome.outcome_id for outcome in outcomes}
    assert await pool.fetchval("select count(*) from list_entry where ended_at is null") == 5


def _apply(pool: Pool, outcomes: Sequence[OutcomeDecided]) -> asyncio.Task[Sequence[Outgoing]]:
    async def said() -> Sequence[Outgoing]:
        return (await apply(pool, *outcomes)).rows

    return asyncio.create_task(said())


async def test_a_finding_and_a_report_that_come_at_once_do_not_miss_each_other(pool: Pool, other_pool: Pool) -> None:
    for place in range(20):
        payee = f"payee-{place}"
        taken, [verdict] = await asyncio.gather(
            apply(other_pool, an_outcome(payee)), judge(pool, a_filed_report(payee_token=payee))
        )
        seconds = [again.event for again in taken.again]
        assert ["confirmed" in rules_of(one) for one in (verdict, *seconds)] in ([True], [False, True])


async def test_a_finding_waits_for_the_reports_on_its_payee_that_are_being_judged_and_they_for_it(
    pool: Pool, other_pool: Pool
) -> None:
    report = a_filed_report(payee_token="hot")
    async with pool.acquire() as connection:
        judging = connection.transaction()
        await judging.start()
        await lock_payees(connection, ["hot"], exclusive=False)
        finding = asyncio.create_task(apply(other_pool, an_outcome("hot")))
        await until_waiting(pool, 1)
        await asyncio.wait_for(apply(other_pool, an_outcome("cold")), 5)
        next_report = asyncio.create_task(judge(pool, report))
        await until_waiting(pool, 2)
        await judging.rollback()
    await finding
    [verdict] = await next_report
    assert "confirmed" in rules_of(verdict)


async def test_two_replicas_with_alerts_on_one_payee_judge_each_of_its_earlier_reports_again_once(
    pool: Pool, other_pool: Pool
) -> None:
    earlier = [a_filed_report(HINT, payee_token="hot", payer_token="same") for _ in range(5)]
    await judge(pool, *earlier)
    async with held(pool, "select from sighting where report_id = $1 for update", earlier[2].report_id):
        alerts = [
            asyncio.create_task(take(replica, [a_filed_report(SCAM, payee_token="hot", branch=branch)]))
            for replica, branch in ((pool, "B1"), (other_pool, "B2"))
        ]
    one, two = await asyncio.gather(*alerts)
    again = [judged.event.report.report_id for judged in (*one.again, *two.again)]
    assert sorted(again) == sorted(report.report_id for report in earlier)


async def test_reports_on_one_payee_do_not_wait_for_each_other(pool: Pool, other_pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await lock_payees(connection, ["hot"], exclusive=False)
        await asyncio.wait_for(judge(other_pool, a_filed_report(payee_token="hot")), 5)


async def test_payees_are_locked_in_one_order_whatever_order_they_are_named_in(pool: Pool, other_pool: Pool) -> None:
    names = [f"payee-{place}" for place in range(200)]

    async def locked(own: Pool, tokens: Sequence[str]) -> None:
        async with own.acquire() as connection, connection.transaction():
            await lock_payees(connection, tokens, exclusive=True)

    for _ in range(10):
        await asyncio.gather(
            locked(pool, names), locked(other_pool, names[::-1]), locked(pool, names[100:] + names[:100])
        )


@pytest.mark.parametrize("disposition_first", [True, False])
async def test_a_disposition_and_its_report_that_come_at_once_do_not_miss_each_other(
    pool: Pool, other_pool: Pool, *, disposition_first: bool
) -> None:
    reports = [a_filed_report() for _ in range(20)]
    for report in reports:
        both = [dispose(other_pool, a_disposition(report)), judge(pool, report)]
        await asyncio.gather(*(both if disposition_first else both[::-1]))
    assert await pool.fetchval("select count(*) from sighting where disposition = 'cancelled'") == 20


def _by_id(rows: Sequence[Outgoing]) -> dict[object, bytes]:
    return {row.id: row.payload for row in rows}
