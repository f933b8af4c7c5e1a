"""The ledger in Postgres: only ever added to, its totals right, the same figures on the dashboard."""

import random

import asyncpg
import pytest

from shared.events import DispositionOutcome, DispositionRecorded, Event, FeedbackReceived, VerdictReached
from shared.postgres import Pool
from tests.parts import Door
from tests.service.notifier.builders import (
    Gained,
    a_disposition,
    a_failure,
    a_success,
    a_verdict,
    an_account,
    count,
    hear,
    money,
    take,
)
from tests.service.notifier.police import a_case, close, ordered

module_loop = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "sql",
    [
        "update ledger set fen = fen + 1",
        "update ledger set bank = 'CCB' where false",
        "delete from ledger",
        "truncate ledger",
        "truncate ledger cascade",
    ],
)
async def test_the_ledger_cannot_be_changed_only_added_to(pool: Pool, sql: str) -> None:
    await take(pool, a_verdict())
    with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
        await pool.execute(sql)
    assert await pool.fetchval("select sum(fen) from ledger") == 9_800_000


async def check_totals(pool: Pool) -> None:
    """The totals are the sums, and nothing is negative."""
    totals = {tuple(row) for row in await pool.fetch("select kind, bank, unit, fen from ledger_total")}
    sums = {
        tuple(row)
        for row in await pool.fetch("select kind, bank, unit, sum(fen)::bigint from ledger group by kind, bank, unit")
    }
    assert totals == sums
    assert all(fen >= 0 for *_, fen in totals)


async def test_the_dashboards_money_is_the_ledgers_in_yuan_by_kind_bank_and_unit(notifier: Door) -> None:
    mine, theirs = a_verdict(amount_fen=12_345), a_verdict(an_account(), "CMB-SZ-LH-002", amount_fen=100)
    await take(notifier.pool, mine, theirs)
    await count(notifier.pool, a_disposition(mine, amount_fen=5))
    lines = (await notifier.client.get("/metrics")).text.splitlines()
    assert {line for line in lines if line.startswith("lanjie_money_yuan{")} == {
        'lanjie_money_yuan{bank="ICBC",kind="reported",unit="SZ-LH-CZ"} 123.45',
        'lanjie_money_yuan{bank="CMB",kind="reported",unit="SZ-LH-DM"} 1.0',
        'lanjie_money_yuan{bank="ICBC",kind="averted",unit="SZ-LH-CZ"} 0.05',
    }


@module_loop
async def test_a_stop_is_booked_up_to_the_balance_and_the_order(shared_notifier: Door, gained: Gained) -> None:
    account = an_account()
    case_id = await a_case(shared_notifier, a_verdict(account, amount_fen=1_000))
    await hear(
        shared_notifier.pool,
        a_success(await ordered(shared_notifier, case_id), stopped_fen=1_000, balance_before_fen=300),
    )
    assert await gained() == {"reported": 1_000, "stopped": 300}
    await check_totals(shared_notifier.pool)


@module_loop
async def test_a_second_stop_on_the_same_money_does_not_count_it_twice(shared_notifier: Door, gained: Gained) -> None:
    account = an_account()
    case_id = await a_case(shared_notifier, a_verdict(account, amount_fen=1_000))
    for stopped in (300, 800):
        await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id), stopped_fen=stopped))
    assert (await gained())["stopped"] == 800


@module_loop
async def test_a_second_case_on_an_account_does_not_count_the_money_the_first_one_holds(
    shared_notifier: Door, gained: Gained
) -> None:
    account = an_account()
    first = await a_case(shared_notifier, a_verdict(account, amount_fen=1_000))
    stop = a_success(await ordered(shared_notifier, first), stopped_fen=600, balance_before_fen=600)
    await hear(shared_notifier.pool, stop)
    await close(shared_notifier, first)
    second = await a_case(shared_notifier, a_verdict(account, amount_fen=1_000))
    stop = a_success(await ordered(shared_notifier, second), stopped_fen=700, balance_before_fen=700)
    await hear(shared_notifier.pool, stop)
    assert (await gained())["stopped"] == 700
    await check_totals(shared_notifier.pool)


@module_loop
async def test_money_ordered_before_the_customer_cancelled_is_averted_and_not_stopped_too(
    shared_notifier: Door, gained: Gained
) -> None:
    account = an_account()
    verdict = a_verdict(account, amount_fen=1_000)
    case_id = await a_case(shared_notifier, verdict)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id), stopped_fen=900))
    await count(shared_notifier.pool, a_disposition(verdict, amount_fen=400))
    assert await gained() == {"reported": 1_000, "averted": 400, "stopped": 600}
    await check_totals(shared_notifier.pool)


@module_loop
async def test_a_stop_for_the_rest_after_a_part_was_averted_counts_in_full(
    shared_notifier: Door, gained: Gained
) -> None:
    account = an_account()
    verdict = a_verdict(account, amount_fen=1_000)
    case_id = await a_case(shared_notifier, verdict)
    await count(shared_notifier.pool, a_disposition(verdict, amount_fen=600))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    assert await gained() == {"reported": 1_000, "averted": 600, "stopped": 400}


async def test_a_correction_is_booked_under_the_labels_of_what_it_corrects(notifier: Door) -> None:
    """A report that was filed earlier but heard of later does not become the owner of the case's money."""
    earlier = a_verdict(branch="CMB-SZ-LH-002", amount_fen=10)
    verdict = a_verdict(branch="ICBC-SZ-LH-001", amount_fen=1_000)
    case_id = await a_case(notifier, verdict)
    await hear(notifier.pool, a_success(await ordered(notifier, case_id)))
    await take(notifier.pool, earlier)
    await count(notifier.pool, a_disposition(verdict, amount_fen=400))
    rows = await notifier.rows("select bank, unit, fen from ledger_total where kind = 'stopped'")
    assert rows == [{"bank": "ICBC", "unit": "SZ-LH-CZ", "fen": 600}]
    await check_totals(notifier.pool)


async def play(pool: Pool, events: list[Event]) -> None:
    for event in events:
        if isinstance(event, VerdictReached):
            await take(pool, event)
        elif isinstance(event, DispositionRecorded):
            await count(pool, event)
        else:
            assert isinstance(event, FeedbackReceived)
            await hear(pool, event)


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_comes_twice_or_out_of_order_the_money_ends_up_the_same(notifier: Door, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - not a secret
    accounts = [an_account() for _ in range(3)]
    verdicts = [
        a_verdict(chance.choice(accounts), chance.choice(("ICBC-SZ-LH-001", "CMB-SZ-LH-002")), chance.randint(1, 90))
        for _ in range(10)
    ]
    verdicts += [a_verdict(account, amount_fen=50) for account in accounts]
    dispositions = [
        a_disposition(verdict, chance.choice(list(DispositionOutcome)), chance.randint(0, verdict.report.amount_fen))
        for verdict in verdicts[:8]
    ]
    heard: list[Event] = [*verdicts, *dispositions]
    chance.shuffle(heard)
    await play(notifier.pool, heard)
    answers: list[Event] = []
    for row in await notifier.rows("select id::text from fraud_case order by id"):
        order = await ordered(notifier, row["id"], amount_fen=chance.randint(1, 60))
        answers.append(chance.choice((a_failure(order), a_success(order, balance_before_fen=chance.randint(0, 70)))))
    await play(notifier.pool, answers)
    await check_totals(notifier.pool)
    settled, entries = await money(notifier.pool), await notifier.count("ledger")
    again = [*heard, *answers]
    chance.shuffle(again)
    await play(notifier.pool, again)
    assert await money(notifier.pool) == settled
    assert await notifier.count("ledger") == entries, "a repetition books nothing, not even nothing"
    averted = sum(event.amount_fen for event in dispositions if event.outcome is DispositionOutcome.CANCELLED)
    assert settled["reported"] == sum(verdict.report.amount_fen for verdict in verdicts)
    assert settled["averted"] == averted
    assert settled["averted"] + settled["stopped"] <= settled["reported"]


@module_loop
async def test_money_of_an_unfounded_case_is_released_when_the_bank_says_so(
    shared_notifier: Door, gained: Gained
) -> None:
    account = an_account()
    case_id = await a_case(shared_notifier, a_verdict(account, amount_fen=1_000))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id), stopped_fen=900))
    release = (await close(shared_notifier, case_id, "unfounded")).json()["orders"][-1]
    assert await gained() == {"reported": 1_000, "stopped": 900}
    await hear(shared_notifier.pool, a_success(release))
    assert await gained() == {"reported": 1_000, "stopped": 900, "released": 900}
