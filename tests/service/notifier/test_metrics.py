"""What the police's side shows of its tables: money by scam type, who is late, what runs out, whether all adds up."""

from datetime import timedelta

import pytest

from services.notifier import figures
from services.notifier.money import ledger_check
from shared.events import Level
from shared.postgres import Pool
from tests.parts import Door
from tests.service.notifier.builders import (
    a_disposition,
    a_success,
    a_verdict,
    an_account,
    count,
    hear,
    take,
    until,
)
from tests.service.notifier.clockwork import fire, open_cases
from tests.service.notifier.police import a_case, acknowledge, close, ordered


async def recounted(pool: Pool) -> None:
    """Have all figures counted now, by whichever replica."""
    at = await pool.fetchval("with due as (update figure set due_at = '-infinity') select now()")
    await figures.look(pool)

    async def all_are() -> bool:
        return not await pool.fetchval("select exists (select from figure where coalesce(counted_at < $1, true))", at)

    await until(all_are)


async def shown(door: Door, name: str) -> dict[str, float]:
    """What the page shows of a metric: values other than 0 by labels."""
    lines = [one for one in (await door.client.get("/metrics")).text.splitlines() if one.startswith(name)]
    values = {one.removeprefix(name).rpartition(" ")[0]: float(one.rpartition(" ")[2]) for one in lines}
    assert values, name
    return {labels: value for labels, value in values.items() if value}


async def test_money_is_told_by_the_scam_type_of_its_case_and_follows_the_polices_finding(notifier: Door) -> None:
    verdict = a_verdict(an_account(), amount_fen=100_000)
    case_id = await a_case(notifier, verdict)
    loose = a_verdict(an_account(), amount_fen=7_000, level=Level.CAUTION)
    await take(notifier.pool, loose)
    await count(notifier.pool, a_disposition(loose))
    await recounted(notifier.pool)
    before = await shown(notifier, "lanjie_money_by_type_yuan")
    assert before == {
        '{kind="reported",scam_type="impersonated_authority"}': 1000.0,
        '{kind="reported",scam_type="none"}': 70.0,
        '{kind="averted",scam_type="none"}': 70.0,
    }
    await acknowledge(notifier, case_id)
    assert (await close(notifier, case_id, scam_type="romance")).status_code == 200
    await recounted(notifier.pool)
    after = await shown(notifier, "lanjie_money_by_type_yuan")
    assert '{kind="reported",scam_type="romance"}' in after
    assert sum(after.values()) == sum(before.values())


async def test_what_is_late_shows_by_unit_until_it_is_done(notifier: Door) -> None:
    [case_id, *_] = await open_cases(notifier.pool, 2)
    await recounted(notifier.pool)
    assert await shown(notifier, "lanjie_deadlines_missed") == {}
    await fire(notifier.pool, timedelta(minutes=2))
    await recounted(notifier.pool)
    assert await shown(notifier, "lanjie_deadlines_missed") == {'{kind="acknowledge",unit="SZ-LH-CZ"}': 2.0}
    await acknowledge(notifier, str(case_id))
    await recounted(notifier.pool)
    assert await shown(notifier, "lanjie_deadlines_missed") == {'{kind="acknowledge",unit="SZ-LH-CZ"}': 1.0}


async def a_stop_that_runs_out_soon(door: Door) -> str:
    """Return a case whose stop has an hour left."""
    case_id = await a_case(door, a_verdict(an_account(), amount_fen=1_000))
    await hear(door.pool, a_success(await ordered(door, case_id)))
    await door.pool.execute("update bank_order set expires_at = now() + interval '1 hour'")
    await door.pool.execute("update deadline set due_at = now() + interval '1 hour' where stage = 'expiry'")
    return case_id


async def test_a_stop_about_to_run_out_shows_until_an_order_follows(notifier: Door) -> None:
    case_id = await a_case(notifier, a_verdict(an_account(), amount_fen=1_000))
    await hear(notifier.pool, a_success(await ordered(notifier, case_id)))
    assert await shown(notifier, "lanjie_stop_orders_expiring") == {}, "it has two days"
    case_id = await a_stop_that_runs_out_soon(notifier)
    assert sum((await shown(notifier, "lanjie_stop_orders_expiring")).values()) == 2
    await ordered(notifier, case_id, "extend_stop")
    assert sum((await shown(notifier, "lanjie_stop_orders_expiring")).values()) == 1


async def test_how_long_officers_take_is_measured_by_unit_and_up_to_the_first_order(notifier: Door) -> None:
    case_id = await a_case(notifier, a_verdict(an_account(), amount_fen=1_000))
    await acknowledge(notifier, case_id)
    await hear(notifier.pool, a_success(await ordered(notifier, case_id)))
    await ordered(notifier, case_id, "extend_stop")
    assert (await shown(notifier, "lanjie_stage_seconds_count"))['{stage="acknowledged_to_ordered"}'] == 1
    taken = await shown(notifier, "lanjie_acknowledgement_seconds_count")
    assert taken == {'{unit="SZ-LH-CZ"}': 1.0}


async def differences(pool: Pool) -> tuple[float, bool]:
    """How many differences the ledger's check found, and whether it was checked up to now."""
    await recounted(pool)
    row = await pool.fetchrow(
        "select body ->> 'differences' as n, counted_at > now() - interval '1 minute' as fresh from figure "
        "where name = 'ledger'"
    )
    assert row is not None
    return float(row["n"]), row["fresh"]


async def broken(pool: Pool, sql: str) -> None:
    """Change what must not change, as a mistake of ours might."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await connection.execute(sql)


@pytest.fixture
async def stopped(notifier: Door) -> str:
    """A case with money reported, averted and stopped, and a report in none; the ledger is right."""
    verdict = a_verdict(an_account(), amount_fen=1_000)
    case_id = await a_case(notifier, verdict)
    await hear(notifier.pool, a_success(await ordered(notifier, case_id), stopped_fen=900))
    await count(notifier.pool, a_disposition(verdict, amount_fen=400))
    await take(notifier.pool, a_verdict(an_account(), amount_fen=70, level=Level.CAUTION))
    return case_id


async def test_a_ledger_that_is_right_shows_no_difference_and_up_to_when_it_was_checked(
    notifier: Door, stopped: str
) -> None:
    assert stopped
    assert await differences(notifier.pool) == (0.0, True)
    assert await shown(notifier, "lanjie_ledger_differences") == {}
    checked = await notifier.pool.fetchval("select counted_at from figure where name = 'ledger'")
    assert await shown(notifier, "lanjie_ledger_checked_timestamp_seconds") == {"": checked.timestamp()}


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("update ledger set fen = fen + 1 where kind = 'stopped' and fen > 0", 2),  # the case, and the total
        ("update ledger set fen = fen + 1 where fen = 70", 2),  # a report in no case, and the total
        ("update fraud_case set amount_fen = 999", 1),
        ("update ledger_total set fen = fen + 1 where kind = 'averted'", 1),
    ],
)
async def test_a_difference_shows_and_goes_on_to_show_until_it_is_mended(
    notifier: Door, stopped: str, sql: str, number: int
) -> None:
    assert stopped
    await broken(notifier.pool, sql)
    assert await differences(notifier.pool) == (number, True)
    await notifier.pool.execute("update ledger_total set fen = fen")
    await broken(notifier.pool, "update fraud_case set changed_at = now() - interval '1 day'")
    await broken(notifier.pool, "update ledger set booked_at = now() - interval '1 day'")
    assert await differences(notifier.pool) == (number, True), "although nothing of it was touched since"
    await broken(notifier.pool, sql.replace("+ 1", "- 1").replace("999", "1000").replace("fen = 70", "fen = 71"))
    assert await differences(notifier.pool) == (0.0, True)


async def test_what_differs_is_found_whenever_it_was_booked_since_the_last_check(
    notifier: Door, stopped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stopped
    monkeypatch.setattr(ledger_check, "REPORTS_AT_ONCE", 1)
    assert await differences(notifier.pool) == (0.0, True)
    for fen in (30, 20):
        await take(notifier.pool, a_verdict(an_account(), amount_fen=fen, level=Level.CAUTION))
    await broken(notifier.pool, "update figure set counted_at = now() - interval '5 minutes' where name = 'ledger'")
    await broken(notifier.pool, "update ledger set booked_at = now() - interval '4 minutes' where fen = 30")
    await broken(notifier.pool, "update fraud_case set amount_fen = 999, changed_at = now() - interval '3 minutes'")
    await broken(notifier.pool, "update ledger set fen = fen + 1 where fen in (20, 30)")
    assert await differences(notifier.pool) == (4, True), "two reports, a case, and the total"


async def test_one_replica_counts_what_is_due_and_the_others_leave_it(pool: Pool) -> None:
    assert await figures.look(pool) == 3
    assert await figures.look(pool) == 0


async def test_a_figure_that_cannot_be_counted_holds_up_no_other(pool: Pool) -> None:
    await pool.execute("""update figure set body = '{"cases": ["no id"]}' where name = 'ledger'""")
    await pool.execute("update figure set due_at = '-infinity' where name <> 'ledger'")  # they come after it now
    await figures.look(pool)
    counted = await pool.fetch("select name from figure where counted_at is not null order by name")
    assert [row["name"] for row in counted] == ["missed", "money_by_type"]


async def test_a_check_that_fell_behind_catches_up_stretch_by_stretch_and_says_how_far_it_is(pool: Pool) -> None:
    await take(pool, a_verdict(an_account()))
    await pool.execute("update figure set counted_at = now() - interval '25 minutes' where name = 'ledger'")
    behind: list[int] = []
    while (await pool.fetchval("select due_at <= now() from figure where name = 'ledger'")) or not behind:
        await figures.look(pool)
        sql = "select extract(epoch from now() - counted_at)::integer / 60 from figure where name = 'ledger'"
        behind.append(await pool.fetchval(sql))
        await pool.execute(
            "update figure set due_at = now() where name = 'ledger' and due_at < now() + interval '1 minute'"
        )
    assert behind == [15, 5, 0]
