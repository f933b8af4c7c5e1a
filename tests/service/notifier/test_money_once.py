"""Never the same yuan twice: one transfer reported twice, one account in two cases, one case split in two."""

import asyncio
from uuid import UUID

import pytest

from services.notifier.cases import store
from services.notifier.cases.case import Entry
from services.notifier.money import money_store, verifying, visits
from shared.events import DispositionOutcome, Level, VerdictReached
from tests.parts import Door
from tests.service.notifier.builders import (
    Gained,
    a_disposition,
    a_success,
    a_verdict,
    an_account,
    count,
    hear,
    judged_again,
    moved_to,
    take,
    until,
)
from tests.service.notifier.police import a_case, close, done, ordered
from tests.service.notifier.trail import followed, stopped

pytestmark = pytest.mark.asyncio(loop_scope="module")

GONE = DispositionOutcome.ALREADY_SENT


def by_another_branch(verdict: VerdictReached, branch: str = "CMB-SZ-LH-002") -> VerdictReached:
    """The same transfer, as another branch reports it."""
    again = a_verdict(an_account(), branch, verdict.report.amount_fen, verdict.level, verdict.report.filed_at)
    same = {"payee_token": verdict.report.payee_token, "payer_token": verdict.report.payer_token}
    return again.model_copy(update={"report": again.report.model_copy(update=same)})


async def is_right(door: Door) -> None:
    async with door.pool.acquire() as connection:
        assert (await verifying.verify(connection)).differences == []


async def test_a_transfer_that_two_banks_report_is_averted_once_and_stopped_once(
    shared_notifier: Door, gained: Gained
) -> None:
    first = a_verdict(an_account(), amount_fen=1_000)
    second = by_another_branch(first)
    case_id = await a_case(shared_notifier, first, second)
    order = await ordered(shared_notifier, case_id)
    assert order["amount_fen"] == 1_000, "there is no more to stop"
    await hear(shared_notifier.pool, a_success(order))
    await count(shared_notifier.pool, a_disposition(first, amount_fen=300), a_disposition(second, amount_fen=300))
    assert await gained() == {"reported": 2_000, "averted": 300, "stopped": 700}
    await is_right(shared_notifier)


async def test_what_one_bank_averted_and_the_other_saw_leave_was_not_averted(
    shared_notifier: Door, gained: Gained
) -> None:
    first = a_verdict(an_account(), amount_fen=1_000, level=Level.CAUTION)
    second = by_another_branch(first)
    await take(shared_notifier.pool, first, second)
    await count(shared_notifier.pool, a_disposition(first))
    assert await gained() == {"reported": 2_000, "averted": 1_000}
    await count(shared_notifier.pool, a_disposition(second, GONE))
    assert await gained() == {"reported": 2_000, "lost": 1_000}, "booked as a correction"
    await is_right(shared_notifier)


@pytest.mark.parametrize("level", [Level.CAUTION, Level.ALERT])
async def test_two_reports_of_one_transfer_whose_visits_end_at_once_count_once(
    shared_notifier: Door, gained: Gained, level: Level
) -> None:
    first = a_verdict(an_account(), amount_fen=1_000, level=level)
    second = by_another_branch(first)
    await take(shared_notifier.pool, first, second)
    await asyncio.gather(*(count(shared_notifier.pool, a_disposition(one)) for one in (first, second)))
    assert await gained() == {"reported": 2_000, "averted": 1_000}
    await is_right(shared_notifier)


async def test_who_counts_one_of_two_such_reports_waits_for_who_counts_the_other(
    shared_notifier: Door, gained: Gained
) -> None:
    first = a_verdict(an_account(), amount_fen=1_000, level=Level.CAUTION)
    second = by_another_branch(first)
    await take(shared_notifier.pool, first, second)
    mine = a_disposition(first)

    async def waits() -> bool:
        return bool(await shared_notifier.rows("select from pg_locks where not granted"))

    async with shared_notifier.pool.acquire() as connection, connection.transaction():
        await money_store.insert_dispositions(connection, [mine])
        lines, _ = await visits.count(connection, [mine.report_id], {}, mine.recorded_at)
        await money_store.book(connection, lines)
        other = asyncio.create_task(count(shared_notifier.pool, a_disposition(second)))
        await until(waits)
    await other
    assert await gained() == {"reported": 2_000, "averted": 1_000}


async def test_it_counts_once_where_one_report_is_in_a_case_and_the_other_in_none(
    shared_notifier: Door, gained: Gained
) -> None:
    loose = a_verdict(an_account(), amount_fen=1_000, level=Level.CAUTION)
    await take(shared_notifier.pool, loose)
    await count(shared_notifier.pool, a_disposition(loose, GONE))
    alarming = by_another_branch(loose.model_copy(update={"level": Level.ALERT}))
    await count(shared_notifier.pool, a_disposition(alarming, GONE))
    await take(shared_notifier.pool, alarming)
    assert await gained() == {"reported": 2_000, "lost": 1_000}
    await is_right(shared_notifier)
    await take(shared_notifier.pool, judged_again(loose))
    assert await gained() == {"reported": 2_000, "lost": 1_000}
    await is_right(shared_notifier)


async def test_equal_transfers_that_one_branch_reports_are_two(shared_notifier: Door, gained: Gained) -> None:
    account = an_account()
    both = [a_verdict(account, amount_fen=1_000) for _ in range(2)]
    await a_case(shared_notifier, *both)
    await count(shared_notifier.pool, *(a_disposition(one) for one in both))
    assert await gained() == {"reported": 2_000, "averted": 2_000}


async def test_what_a_first_case_held_stays_its_own_after_it_was_released(
    shared_notifier: Door, gained: Gained
) -> None:
    account = an_account()
    first = await a_case(shared_notifier, a_verdict(account, amount_fen=1_000))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, first), 600, 600))
    await close(shared_notifier, first)
    second = await a_case(shared_notifier, a_verdict(account, amount_fen=1_000))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, second), 700, 700))
    assert (await gained())["stopped"] == 700
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, first, "release_stop")))
    assert await gained() == {"reported": 2_000, "stopped": 700, "released": 600}
    await is_right(shared_notifier)


async def test_a_case_and_what_was_split_from_it_share_one_book(shared_notifier: Door, gained: Gained) -> None:
    account = an_account()
    first, second = a_verdict(account, amount_fen=1_000), a_verdict(account, "ICBC-SZ-LH-002", 500)
    case_id = await a_case(shared_notifier, first, second)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id), 1_200))
    before = await gained()
    report_ids = [str(second.report.report_id)]
    await done(shared_notifier, case_id, "split", report_ids=report_ids, reason="另案")
    assert await gained() == before, "splitting moves no money"
    await count(shared_notifier.pool, a_disposition(second, amount_fen=400))
    assert await gained() == {"reported": 1_500, "averted": 400, "stopped": 1_100}
    rows = await shared_notifier.rows(
        "select unit, sum(fen)::bigint as fen from ledger where kind = 'stopped' and case_id = $1 group by unit",
        UUID(case_id),
    )
    assert rows == [{"unit": "SZ-LH-CZ", "fen": 1_100}]
    await is_right(shared_notifier)


async def test_work_on_a_case_does_not_wait_for_the_one_it_was_split_from(shared_notifier: Door) -> None:
    account = an_account()
    first, second = a_verdict(account, amount_fen=1_000), a_verdict(account, amount_fen=500)
    case_id = await a_case(shared_notifier, first, second)
    await done(shared_notifier, case_id, "split", report_ids=[str(second.report.report_id)], reason="另案")
    [row] = await shared_notifier.rows("select id from fraud_case where split_from = $1", UUID(case_id))
    pool = shared_notifier.pool
    async with pool.acquire() as one, one.transaction(), pool.acquire() as other, other.transaction():
        await store.locked_case(one, UUID(case_id))
        async with asyncio.timeout(5):
            found = await store.locked_case(other, row["id"])
            assert found
            await store.tell(other, [Entry(found.id, found.opened_at, "noted", "lanjie", "")])
            await store.update_cases(other, [found])


async def test_money_followed_to_a_further_account_is_stopped_once_and_a_new_report_makes_room_for_more(
    shared_notifier: Door, gained: Gained
) -> None:
    payee, further = an_account(), an_account()
    case_id = await a_case(shared_notifier, a_verdict(payee, amount_fen=1_000))
    await stopped(shared_notifier, case_id, moved_to(further, 5_000, "CCB"))
    onward_id = await followed(shared_notifier, case_id, further)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id, onward_id=onward_id)))
    assert await gained() == {"reported": 1_000, "stopped": 1_000}, "not the 5,000 that lay there"
    await is_right(shared_notifier)
    await take(shared_notifier.pool, a_verdict(payee, amount_fen=700))
    assert await gained() == {"reported": 1_700, "stopped": 1_700}
    await is_right(shared_notifier)
