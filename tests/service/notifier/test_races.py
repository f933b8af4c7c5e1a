"""Two replicas at the same moment: no case twice, no money twice, no deadlock, nothing for the dead letters."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.notifier.alerting import alert_store
from services.notifier.cases.requests import Ordering
from services.notifier.cases.store import OpenedMeanwhileError
from services.notifier.orders import answering, order_store, ordering
from services.notifier.people_store import Officer
from shared.access import fingerprint
from shared.errors import Refusal
from shared.events import DispositionCounted, OrderKind
from shared.postgres import Pool, open_pool
from tests.parts import TOKENS, officer_token
from tests.service.notifier.builders import (
    a_disposition,
    a_success,
    a_verdict,
    an_account,
    connected,
    count,
    now,
    office,
    patiently,
    said,
    take,
    until,
)


@pytest.fixture
async def other_pool(dsn: str) -> AsyncIterator[Pool]:
    """Yield the pool of another replica on the same database."""
    opened = await open_pool(dsn, "notifier", most=6)
    yield opened
    await opened.close()


async def test_two_replicas_that_open_a_case_on_one_account_share_it(dsn: str, pool: Pool, other_pool: Pool) -> None:
    verdicts = a_verdict(amount_fen=100), a_verdict(amount_fen=200)
    async with connected(dsn) as connection:
        await connection.execute("select pg_advisory_lock($1)", alert_store.STREAM_LOCK)
        both = [asyncio.create_task(patiently(*one)) for one in zip((pool, other_pool), verdicts, strict=True)]

        async def both_wait() -> bool:
            waiting: int = await connection.fetchval("select count(*) from pg_locks where not granted")
            return waiting == 2

        await until(both_wait)  # one for the stream, the other for the first one's case
        await connection.execute("select pg_advisory_unlock($1)", alert_store.STREAM_LOCK)
        (first, first_failures), (second, second_failures) = await asyncio.gather(*both)
    assert [type(error) for error in first_failures + second_failures] == [OpenedMeanwhileError]
    assert {first.placed[0].opened, second.placed[0].opened} == {True, False}
    row = await pool.fetchrow("select count(*), min(amount_fen), min(version) from fraud_case")
    assert row is not None
    assert tuple(row) == (1, 300, 2)
    assert await pool.fetchval("select sum(fen) from ledger") == 300
    assert await pool.fetchval("select count(*) from alert") == 2


async def test_a_verdict_delivered_to_two_replicas_at_once_counts_once(pool: Pool, other_pool: Pool) -> None:
    verdict = a_verdict()
    both = await asyncio.gather(patiently(pool, verdict), patiently(other_pool, verdict))
    assert sorted(len(taken.placed) for taken, _ in both) == [0, 1]
    assert all(taken.rows for taken, _ in both), "each delivery is answered"
    assert await pool.fetchval("select sum(fen) from ledger") == verdict.report.amount_fen


async def test_dispositions_that_two_replicas_hear_in_opposite_order_do_not_lock_each_other_out(
    pool: Pool, other_pool: Pool
) -> None:
    verdicts = [a_verdict(account=an_account(), amount_fen=10) for _ in range(60)]
    await take(pool, *verdicts)
    events = [a_disposition(verdict) for verdict in verdicts]
    for _ in range(3):
        await asyncio.gather(count(pool, *events), count(other_pool, *reversed(events)))
    assert await pool.fetchval("select sum(fen) from ledger where kind = 'averted'") == 600


async def test_a_disposition_whose_verdict_is_taken_meanwhile_is_not_answered_before_its_money_is_booked(
    dsn: str, pool: Pool
) -> None:
    known, unknown = a_verdict(an_account(), amount_fen=10), a_verdict(an_account(), amount_fen=20)
    await take(pool, known)
    events = a_disposition(known), a_disposition(unknown)
    async with connected(dsn) as connection:
        async with connection.transaction():
            await connection.execute("select from fraud_case for update")
            counting = asyncio.create_task(count(pool, *events))

            async def it_waits() -> bool:
                waiting: int = await connection.fetchval("select count(*) from pg_locks where not granted")
                return waiting == 1

            await until(it_waits)
            assert said((await take(pool, unknown)).rows, DispositionCounted) == []
        rows = await counting
    answered = [event.disposition_id for event in said(rows, DispositionCounted)]
    assert answered == [events[0].disposition_id]
    again = await count(pool, events[1])
    assert [event.disposition_id for event in said(again, DispositionCounted)] == [events[1].disposition_id]
    assert await pool.fetchval("select sum(fen) from ledger where kind = 'averted'") == 30


async def test_verdicts_and_dispositions_of_many_cases_at_once_all_go_through(pool: Pool, other_pool: Pool) -> None:
    accounts = [an_account() for _ in range(20)]
    opening = [a_verdict(account=account, amount_fen=10) for account in accounts]
    joining = [a_verdict(account=account, amount_fen=20) for account in reversed(accounts)]
    await take(pool, *opening)
    await asyncio.gather(
        patiently(pool, *joining),
        patiently(other_pool, *reversed(joining)),
        count(pool, *map(a_disposition, opening)),
        count(other_pool, *map(a_disposition, reversed(opening))),
    )
    assert await pool.fetchval("select fen from ledger_total where kind = 'averted'") == 200
    assert await pool.fetchval("select fen from ledger_total where kind = 'reported'") == 600


async def officer(pool: Pool, name: str = "陆峥") -> Officer:
    row = await pool.fetchrow(
        "select o.id, o.name, o.unit, o.role, u.path, u.level from officer o join unit u on u.code = o.unit "
        "where token_sha256 = $1",
        fingerprint(officer_token(name)),
    )
    assert row is not None
    return Officer(**dict(row))


async def test_two_officers_who_order_at_once_give_one_order(pool: Pool, other_pool: Pool) -> None:
    taken = await take(pool, a_verdict())
    who, asked = await officer(pool), Ordering(kind=OrderKind.STOP)
    both = await asyncio.gather(
        *(
            ordering.give_order(office(replica), who, taken.placed[0].case_id, asked, now())
            for replica in (pool, other_pool)
        ),
        return_exceptions=True,
    )
    [refused] = [one for one in both if isinstance(one, Refusal)]
    assert refused.status == 409
    assert await pool.fetchval("select count(*) from bank_order") == 1


async def test_two_cases_of_one_account_release_at_once_what_each_holds(pool: Pool, other_pool: Pool) -> None:
    who = await officer(pool)
    cases = []
    for number in range(2):
        taken = await take(pool, a_verdict())
        case_id = taken.placed[0].case_id
        given, _ = await ordering.give_order(office(pool), who, case_id, Ordering(kind=OrderKind.STOP), now())
        order = {"id": str(given.id), "case_id": str(case_id), "kind": "stop", "bank": "CCB", "amount_fen": 1}
        await answering.take_feedback(office(pool), a_success(order), now())
        if number == 0:
            await pool.execute("update fraud_case set status = 'closed' where id = $1", case_id)
        cases.append(case_id)
    asked = Ordering(kind=OrderKind.RELEASE_STOP, reason="及时解除")
    both = await asyncio.gather(
        *(
            ordering.give_order(office(replica), who, case_id, asked, now())
            for replica, case_id in zip((pool, other_pool), cases, strict=True)
        )
    )
    assert [given.case_id for given, _ in both] == cases
    assert len({given.acts_on for given, _ in both}) == 2


async def test_two_cases_that_stop_one_account_at_once_do_not_stop_it_a_third_time(
    pool: Pool, other_pool: Pool
) -> None:
    who, account = await officer(pool), an_account()
    first = (await take(pool, a_verdict(account))).placed[0].case_id
    given, _ = await ordering.give_order(office(pool), who, first, Ordering(kind=OrderKind.STOP), now())
    order = {"id": str(given.id), "case_id": str(first), "kind": "stop", "bank": "CCB", "amount_fen": 1}
    await answering.take_feedback(office(pool), a_success(order), now())
    await pool.execute("update fraud_case set status = 'closed' where id = $1", first)
    second = (await take(pool, a_verdict(account))).placed[0].case_id
    await pool.execute("update fraud_case set status = 'acknowledged', split_from = $2 where id = $1", first, second)
    asked = [(pool, first, OrderKind.EXTEND_STOP), (other_pool, second, OrderKind.STOP)]
    both = await asyncio.gather(
        *(
            ordering.give_order(office(replica), who, case_id, Ordering(kind=kind), now())
            for replica, case_id, kind in asked
        ),
        return_exceptions=True,
    )
    [refused] = [one for one in both if isinstance(one, BaseException)]
    assert isinstance(refused, Refusal)
    assert refused.extensions["rule"] == "stopped-twice"


async def test_an_account_is_locked_before_others_of_its_case_whether_or_not_it_was_ordered_on(
    pool: Pool, other_pool: Pool
) -> None:
    taken = await take(pool, a_verdict(account := an_account()))
    key = (order_store.ACCOUNT_LOCK, TOKENS.of("account", account))
    async with pool.acquire() as connection, connection.transaction():
        await order_store.orders_in(connection, taken.placed[0].case_id)
        assert not await other_pool.fetchval("select pg_try_advisory_lock($1, hashtext($2))", *key)


async def test_feedback_delivered_to_two_replicas_at_once_books_once(pool: Pool, other_pool: Pool) -> None:
    taken = await take(pool, a_verdict(amount_fen=100))
    case_id = taken.placed[0].case_id
    who = await officer(pool)
    given, _ = await ordering.give_order(office(pool), who, case_id, Ordering(kind=OrderKind.STOP), now())
    feedback = a_success(
        {"id": str(given.id), "case_id": str(case_id), "kind": "stop", "bank": "CCB", "amount_fen": 100}
    )
    both = await asyncio.gather(
        *(answering.take_feedback(office(replica), feedback, now()) for replica in (pool, other_pool))
    )
    assert sum(order is not None for order, _ in both) == 1
    assert await pool.fetchval("select sum(fen) from ledger where kind = 'stopped'") == 100
