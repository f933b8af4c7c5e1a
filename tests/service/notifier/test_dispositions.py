"""How visits to the counter ended: counted once, told to the case, answered whenever they come."""

import pytest

from services.notifier.money import handlers
from shared.events import DispositionCounted, DispositionOutcome, Level
from shared.outbox import new_id
from shared.postgres import Pool
from tests.parts import Door
from tests.service.notifier.builders import (
    Gained,
    a_disposition,
    a_success,
    a_verdict,
    an_account,
    count,
    hear,
    money,
    now,
    said,
    take,
)
from tests.service.notifier.police import a_case, case_of, ordered, timeline

module_loop = pytest.mark.asyncio(loop_scope="module")


@module_loop
async def test_a_cancelled_transfer_is_averted_told_to_the_case_and_answered(
    shared_notifier: Door, gained: Gained
) -> None:
    account = an_account()
    verdict = a_verdict(account, amount_fen=1_000)
    case_id = await a_case(shared_notifier, verdict)
    disposition = a_disposition(verdict, amount_fen=600)
    rows = await count(shared_notifier.pool, disposition)
    assert await gained() == {"reported": 1_000, "averted": 600}
    case = await case_of(shared_notifier, case_id)
    assert case["timeline"][-1]["text"] == "柜面处置：客户取消办理，劝阻成功，6.00 元"
    [event] = said(rows, DispositionCounted)
    assert (event.disposition_id, event.report_id) == (disposition.disposition_id, verdict.report.report_id)
    assert str(event.case_id) == case_id


@module_loop
async def test_a_customer_who_went_ahead_is_told_to_the_case_though_no_money_is_booked(
    shared_notifier: Door, gained: Gained
) -> None:
    account = an_account()
    verdict = a_verdict(account)
    case_id = await a_case(shared_notifier, verdict)
    await count(shared_notifier.pool, a_disposition(verdict, DispositionOutcome.PROCEEDED))
    case = await case_of(shared_notifier, case_id)
    assert case["timeline"][-1]["text"] == "柜面处置：客户坚持办理，98,000.00 元"
    assert await gained() == {"reported": 9_800_000}


@module_loop
async def test_money_that_had_already_gone_is_lost_until_a_stop_holds_it(shared_notifier: Door, gained: Gained) -> None:
    account = an_account()
    verdict = a_verdict(account, amount_fen=1_000)
    case_id = await a_case(shared_notifier, verdict)
    await count(shared_notifier.pool, a_disposition(verdict, DispositionOutcome.ALREADY_SENT))
    assert await gained() == {"reported": 1_000, "lost": 1_000}
    await hear(
        shared_notifier.pool,
        a_success(await ordered(shared_notifier, case_id), stopped_fen=400, balance_before_fen=400),
    )
    assert await gained() == {"reported": 1_000, "lost": 600, "stopped": 400}


@module_loop
async def test_a_disposition_that_comes_again_books_nothing_and_is_answered_again(shared_notifier: Door) -> None:
    account = an_account()
    verdict = a_verdict(account)
    case_id = await a_case(shared_notifier, verdict)
    disposition = a_disposition(verdict)
    first = await count(shared_notifier.pool, disposition)
    ledger, case = await shared_notifier.rows("select * from ledger"), await case_of(shared_notifier, case_id)
    again = await count(shared_notifier.pool, disposition, disposition)
    assert said(again, DispositionCounted) == said(first, DispositionCounted)
    assert await shared_notifier.rows("select * from ledger") == ledger
    assert await case_of(shared_notifier, case_id) == case


@module_loop
async def test_a_disposition_before_its_verdict_waits_and_is_counted_and_answered_when_the_verdict_comes(
    shared_notifier: Door,
    gained: Gained,
) -> None:
    account = an_account()
    verdict = a_verdict(account, amount_fen=700)
    disposition = a_disposition(verdict)
    assert await count(shared_notifier.pool, disposition) == []
    assert await gained() == {}
    taken = await take(shared_notifier.pool, verdict)
    [event] = said(taken.rows, DispositionCounted)
    assert (event.disposition_id, event.case_id) == (disposition.disposition_id, taken.placed[0].case_id)
    assert await gained() == {"reported": 700, "averted": 700}
    case = await case_of(shared_notifier, str(event.case_id))
    assert timeline(case) == ["opened", "disposition"]


@module_loop
async def test_a_report_in_no_case_has_its_money_booked_under_itself(shared_notifier: Door, gained: Gained) -> None:
    account = an_account()
    averted, gone = (
        a_verdict(account, level=Level.CAUTION, amount_fen=30),
        a_verdict(account, level=Level.CLEAR, amount_fen=50),
    )
    await take(shared_notifier.pool, averted, gone)
    events = [a_disposition(averted), a_disposition(gone, DispositionOutcome.ALREADY_SENT)]
    rows = await count(shared_notifier.pool, *events)
    assert [event.case_id for event in said(rows, DispositionCounted)] == [None, None]
    assert await gained() == {"reported": 80, "averted": 30, "lost": 50}
    ids = [verdict.report.report_id for verdict in (averted, gone)]
    assert await shared_notifier.pool.fetchval("select count(*) from ledger where report_id = any($1)", ids) == 4
    await count(shared_notifier.pool, *events)
    assert await gained() == {"reported": 80, "averted": 30, "lost": 50}


async def test_many_dispositions_in_one_batch_are_each_booked_with_their_own_cause(pool: Pool) -> None:
    verdicts = [a_verdict(account=f"62170000000000000{number % 4:02}", amount_fen=10) for number in range(20)]
    await take(pool, *verdicts)
    events = [a_disposition(verdict) for verdict in verdicts]
    first = await count(pool, *events[:7])
    assert len(said(first, DispositionCounted)) == 7
    rest = await count(pool, *events)  # seven of them for the second time
    assert len(said(rest, DispositionCounted)) == 20
    assert await money(pool) == {"reported": 200, "averted": 200}
    rows = await pool.fetch("select cause, report_id, fen from ledger where kind = 'averted'")
    expected = {(event.disposition_id, event.report_id, 10) for event in events}
    assert {tuple(row) for row in rows} == expected


@module_loop
async def test_a_repeated_disposition_beside_a_new_one_does_not_swallow_the_new_ones_money(
    shared_notifier: Door, gained: Gained
) -> None:
    account = an_account()
    verdicts = [a_verdict(account, amount_fen=10) for _ in range(3)]
    await take(shared_notifier.pool, *verdicts)
    events = [a_disposition(verdict, DispositionOutcome.ALREADY_SENT) for verdict in verdicts]
    await count(shared_notifier.pool, events[1])
    assert await gained() == {"reported": 30, "lost": 10}
    await count(shared_notifier.pool, events[0], events[1])
    assert await gained() == {"reported": 30, "lost": 20}
    await count(shared_notifier.pool, *events)
    assert await gained() == {"reported": 30, "lost": 30}


@module_loop
async def test_money_that_no_repetition_would_book_is_booked_by_the_next_event_of_the_case(
    shared_notifier: Door, gained: Gained
) -> None:
    """A disposition whose verdict was taken at the very same moment waits for its repetition, not its money."""
    account = an_account()
    first, second = a_verdict(account, amount_fen=10), a_verdict(account, amount_fen=20)
    await take(shared_notifier.pool, first, second)
    missed = a_disposition(first)
    await shared_notifier.pool.execute(
        "insert into disposition values ($1, $2, 'cancelled', 10, now())", missed.disposition_id, missed.report_id
    )
    await count(shared_notifier.pool, a_disposition(second))
    assert await gained() == {"reported": 30, "averted": 30}
    rows = await handlers.count_dispositions(shared_notifier.pool, [missed], now())
    assert [event.disposition_id for event in said(rows, DispositionCounted)] == [missed.disposition_id]
    assert await gained() == {"reported": 30, "averted": 30}


async def test_a_disposition_of_a_report_that_never_comes_is_answered_by_nobody(pool: Pool) -> None:
    unknown = a_disposition(a_verdict()).model_copy(update={"report_id": new_id()})
    assert await count(pool, unknown) == []
    assert await pool.fetchval("select count(*) from outbox") == 0
