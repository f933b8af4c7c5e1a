"""The monthly statement: whose money it shows, in which month, compared with what."""

import asyncio
import csv
import io
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import main
from services.notifier.clock.clock import BEIJING
from services.notifier.money import statement_store
from services.notifier.money.statement import By, Line, period
from shared.outbox import new_id
from shared.postgres import Pool


async def booked(pool: Pool, at: datetime, kind: str, *fen: int, bank: str = "ICBC", unit: str = "SZ-LH-CZ") -> None:
    """Entries of that time."""
    await pool.execute(
        """
        insert into ledger (id, cause, kind, fen, bank, unit, report_id, booked_at)
        select gen_random_uuid(), gen_random_uuid(), $1, fen, $2, $3, gen_random_uuid(), $4
        from unnest($5::bigint[]) as fen
        """,
        kind,
        bank,
        unit,
        at,
        list(fen),
    )


async def stopped(pool: Pool, at: datetime, account: str, fen: int = 100, unit: str = "SZ-LH-CZ") -> None:
    """A stop that a bank executed at that time, for a case of that unit."""
    case_id = new_id()
    await pool.execute(
        """
        insert into fraud_case (id, version, payee_token, payee_mask, unit, bank, status, amount_fen, opened_at,
                                acknowledge_by, changed_at)
        values ($1, 1, $2, '{}', $3, 'ICBC', 'closed', 1, $4, $4, $4)
        """,
        case_id,
        account,
        unit,
        at,
    )
    await pool.execute(
        """
        insert into bank_order (id, version, case_id, payee_token, kind, status, bank, amount_fen, covers, ordered_at,
                                stopped_fen, answered_at, event)
        values ($1, 2, $2, $3, 'stop', 'executed', 'CCB', 100, '{}', $4, $5, $4, '')
        """,
        new_id(),
        case_id,
        account,
        at,
        fen,
    )


async def lines(pool: Pool, first: str, until: str | None = None, by: By = By.UNIT) -> dict[tuple[str, str], Line]:
    async with pool.acquire() as connection:
        found = await statement_store.lines(connection, period(first, until), by)
    return {(one.unit, one.bank): one for one in found}


OCTOBER = datetime(2026, 10, 15, 12, tzinfo=BEIJING)


async def test_a_units_line_holds_all_that_is_below_it(pool: Pool) -> None:
    await booked(pool, OCTOBER, "averted", 10, unit="SZ-LH-CZ")
    await booked(pool, OCTOBER, "averted", 5, unit="SZ-LH-DM")
    await booked(pool, OCTOBER, "averted", 1, unit="SZ-FT")
    found = await lines(pool, "2026-10")
    assert [(unit, line.now["averted"]) for (unit, _), line in found.items()] == [
        ("SZ", 16),
        ("SZ-FT", 1),
        ("SZ-LH", 15),
        ("SZ-LH-CZ", 10),
        ("SZ-LH-DM", 5),
    ]
    assert found["SZ-LH", ""].unit_name == "罗湖分局"


async def test_a_line_is_for_a_unit_a_bank_or_both(pool: Pool) -> None:
    await booked(pool, OCTOBER, "lost", 10, bank="ICBC", unit="SZ-FT")
    await booked(pool, OCTOBER, "lost", 5, bank="CMB", unit="SZ-FT")
    by = {
        each: [(*owner, line.now["lost"]) for owner, line in (await lines(pool, "2026-10", by=each)).items()]
        for each in By
    }
    assert by == {
        By.UNIT: [("SZ", "", 15), ("SZ-FT", "", 15)],
        By.BANK: [("", "CMB", 5), ("", "ICBC", 10)],
        By.BOTH: [("SZ", "CMB", 5), ("SZ", "ICBC", 10), ("SZ-FT", "CMB", 5), ("SZ-FT", "ICBC", 10)],
    }


async def test_a_month_is_beijings_and_corrections_belong_to_the_month_they_were_booked_in(pool: Pool) -> None:
    await booked(pool, datetime(2026, 9, 30, 23, 59, 59, tzinfo=BEIJING), "stopped", 1)
    await booked(pool, datetime(2026, 10, 1, tzinfo=BEIJING), "stopped", 20)
    await booked(pool, datetime(2026, 10, 31, 23, 59, 59, tzinfo=BEIJING), "stopped", -3)
    await booked(pool, datetime(2026, 11, 1, tzinfo=BEIJING), "stopped", 4_000)
    line = (await lines(pool, "2026-10"))["SZ-LH-CZ", ""]
    assert (line.now["stopped"], line.before["stopped"], line.year_before["stopped"]) == (17, 1, 0)


async def test_an_account_counts_once_in_a_period_however_often_it_was_stopped(pool: Pool) -> None:
    for account in ("one", "one", "two"):
        await stopped(pool, OCTOBER, account)
    await stopped(pool, OCTOBER, "one", unit="SZ-LH-DM")
    await stopped(pool, OCTOBER, "empty", fen=0)
    found = await lines(pool, "2026-10")
    assert {unit: line.now["accounts"] for (unit, _), line in found.items()} == {
        "SZ": 2,
        "SZ-LH": 2,
        "SZ-LH-CZ": 2,
        "SZ-LH-DM": 1,
    }


@pytest.fixture
async def luohu(pool: Pool) -> None:
    """Half a year of Luohu: 35 accounts, nearly 20 million yuan; 1,430 reports after 2,000 and 2,177."""
    spring, autumn, spring_before = (
        datetime(*day, tzinfo=BEIJING) for day in ((2016, 3, 1), (2015, 9, 1), (2015, 3, 1))
    )
    for number in range(35):
        await stopped(pool, spring, f"account {number}", unit="SZ-LH")
    await booked(pool, spring, "stopped", *[57_000_000] * 35, unit="SZ-LH")
    for at, reports in ((spring, 1_430), (spring_before, 2_000), (autumn, 2_177)):
        await booked(pool, at, "reported", *[100] * reports, unit="SZ-LH")


@pytest.mark.usefixtures("luohu")
async def test_the_statement_shows_half_a_year_as_luohu_published_it(pool: Pool, dsn: str, tmp_path: Path) -> None:
    assert pool
    file = tmp_path / "luohu.csv"
    arguments = ["ledger", "statement", "2016-01", "--until", "2016-06", "--by", "unit", "-o", str(file)]
    done = await asyncio.to_thread(CliRunner(env={"DATABASE_URL": dsn}).invoke, main, arguments)
    assert done.exit_code == 0, done.output
    assert file.read_bytes().startswith(b"\xef\xbb\xbf"), "Excel takes it for UTF-8"
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"))))
    line = next(row for row in rows if row["单位"] == "罗湖分局")
    assert (line["期间"], line["拦截账户数"], line["止付金额（元）"]) == ("2016-01 至 2016-06", "35", "19950000.00")
    assert (line["报告数"], line["报告数同比（%）"], line["报告数环比（%）"]) == ("1430", "-28.5", "-34.3")
    assert line["止付金额（元）同比（%）"] == "", "there was nothing to compare with"


async def test_a_month_that_is_none_is_refused_in_one_sentence(dsn: str) -> None:
    done = await asyncio.to_thread(CliRunner(env={"DATABASE_URL": dsn}).invoke, main, ["ledger", "statement", "2026"])
    assert done.exit_code == 1
    assert "'2026' is not a month such as 2026-10" in done.output


async def test_without_a_file_the_statement_goes_to_the_terminal(pool: Pool, dsn: str) -> None:
    await booked(pool, OCTOBER, "averted", 10)
    done = await asyncio.to_thread(
        CliRunner(env={"DATABASE_URL": dsn}).invoke, main, ["ledger", "statement", "2026-10"]
    )
    assert done.output.splitlines()[0].startswith("期间,单位代码,单位,银行,拦截账户数")
    assert len(done.output.splitlines()) == 1 + 3
