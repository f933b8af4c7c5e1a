"""Rosters from a terminal: a file, a rotation, and as they stand."""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli import main
from services.notifier.clock.clock import BEIJING
from services.notifier.duty import duties, duty_store
from services.notifier.duty.duty import Shift
from shared.postgres import Pool
from tests.service.notifier.builders import connected, now
from tests.service.notifier.reach import CUIZHU_OFFICER, LUOHU_APPROVER, add_officer, on_duty

COLLEAGUE = "温若溪"
DAY = (datetime.now(BEIJING) + timedelta(days=2)).replace(hour=8, minute=0, second=0, microsecond=0)


async def lanjie(dsn: str, *words: object) -> Result:
    """Run `lanjie notifier …` as its own program would be: outside the test's event loop."""
    runner = CliRunner(env={"DATABASE_URL": dsn, "COLUMNS": "160"})
    done = await asyncio.to_thread(runner.invoke, main, ["notifier", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def line(unit: str, officer: str, since: float, until: float) -> str:
    """A line of a roster's file, in hours from the day's beginning."""
    starts, ends = DAY + timedelta(hours=since), DAY + timedelta(hours=until)
    return f"{unit},{officer},{starts.isoformat()},{ends.isoformat()}"


def roster(folder: Path, *lines: str) -> Path:
    file = folder / "roster.csv"
    file.write_text("\n".join(("unit,officer,starts_at,ends_at", *lines)), encoding="utf-8")
    return file


async def shifts(pool: Pool) -> list[tuple[str, str, float, float]]:
    rows = await pool.fetch(
        "select s.unit, o.name, s.starts_at, s.ends_at from shift s join officer o on o.id = s.officer order by 3, 2"
    )
    hour = timedelta(hours=1)
    return [(unit, name, (since - DAY) / hour, (until - DAY) / hour) for unit, name, since, until in rows]


async def test_a_roster_is_loaded_and_the_same_file_again_adds_nothing(dsn: str, pool: Pool, tmp_path: Path) -> None:
    lines = [line("SZ-LH-CZ", CUIZHU_OFFICER, 0, 12), line("SZ-LH", LUOHU_APPROVER, 0, 12)]
    assert (await lanjie(dsn, "roster-load", roster(tmp_path, *lines))).output == "2 new shifts, 0 there already\n"
    lines.append(line("SZ-LH-CZ", CUIZHU_OFFICER, 12, 24))
    assert (await lanjie(dsn, "roster-load", roster(tmp_path, *lines))).output == "1 new shifts, 2 there already\n"
    assert await shifts(pool) == [
        ("SZ-LH", LUOHU_APPROVER, 0, 12),
        ("SZ-LH-CZ", CUIZHU_OFFICER, 0, 12),
        ("SZ-LH-CZ", CUIZHU_OFFICER, 12, 24),
    ]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (line("SZ-LH-CZ", CUIZHU_OFFICER, 6, 18), "another shift then"),
        (line("SZ-NONE", CUIZHU_OFFICER, 12, 18), "there is no unit SZ-NONE"),
        (line("SZ-LH-CZ", "没有此人", 12, 18), "is no officer of SZ-LH-CZ or of a unit above it"),
        (line("SZ-FT", CUIZHU_OFFICER, 12, 18), "is no officer of SZ-FT or of a unit above it"),
        (line("SZ-LH-CZ", "顾明川", 12, 18), "is an auditor"),
        (line("SZ-LH-CZ", "离任者", 12, 18), "is let in no longer"),
        ("SZ-LH-CZ,陆峥,2026-12-01T08:00:00,2026-12-01T20:00:00", "with its offset"),
    ],
)
async def test_a_roster_with_a_wrong_line_is_refused_as_a_whole_and_the_line_named(
    dsn: str, pool: Pool, tmp_path: Path, bad: str, why: str
) -> None:
    await add_officer(pool, "离任者", "SZ-LH-CZ")
    await pool.execute("update officer set revoked_at = now() where name = '离任者'")
    done = await lanjie(dsn, "roster-load", roster(tmp_path, line("SZ-LH-CZ", CUIZHU_OFFICER, 0, 12), bad))
    assert done.exit_code == 1
    assert "line 3: " in done.output
    assert why in done.output
    assert await shifts(pool) == []


async def test_an_officer_is_not_on_duty_for_two_units_at_a_time(dsn: str, tmp_path: Path) -> None:
    first = roster(tmp_path, line("SZ-LH", LUOHU_APPROVER, 0, 12))
    assert (await lanjie(dsn, "roster-load", first)).exit_code == 0
    done = await lanjie(dsn, "roster-load", roster(tmp_path, line("SZ-LH-CZ", LUOHU_APPROVER, 11, 13)))
    assert done.exit_code == 1
    assert "line 2: 沈牧言 has another shift then" in done.output


async def test_put_up_at_once_a_roster_is_there_once(dsn: str, pool: Pool) -> None:
    hours = [DAY + timedelta(hours=hour) for hour in range(40)]
    planned = [Shift("SZ-LH-CZ", CUIZHU_OFFICER, since, until) for since, until in pairwise(hours)]

    async def put_up() -> int:
        async with connected(dsn) as connection:
            return await duties.put_up(connection, planned)

    assert sum(await asyncio.gather(*(put_up() for _ in range(4)))) == 39
    assert len(await shifts(pool)) == 39


async def test_a_shift_handed_over_is_not_put_back_by_the_same_roster(pool: Pool) -> None:
    await on_duty(pool, CUIZHU_OFFICER, since=-2, hours=12)
    planned = await pool.fetchrow("select starts_at, planned_until from shift")
    assert planned is not None
    await pool.execute("update shift set ends_at = now()")
    again = Shift("SZ-LH-CZ", CUIZHU_OFFICER, planned["starts_at"], planned["planned_until"])
    async with pool.acquire() as connection:
        assert await duty_store.obstacles(connection, [again]) == []
        assert await duty_store.add_shifts(connection, [again]) == 0
    assert await pool.fetchval("select ends_at <= now() from shift")


async def test_officers_are_put_on_in_turn(dsn: str, pool: Pool) -> None:
    await add_officer(pool, COLLEAGUE, "SZ-LH-CZ")
    words = ("roster-rotate", "SZ-LH-CZ", "--officers", f"{CUIZHU_OFFICER}, {COLLEAGUE}", "--from", f"{DAY:%Y-%m-%d}")
    done = await lanjie(dsn, *words, "--days", 2, "--shift-hours", 12, "--at", "08:00")
    assert done.output == "4 new shifts, 0 there already\n"
    assert await shifts(pool) == [
        ("SZ-LH-CZ", (CUIZHU_OFFICER, COLLEAGUE)[turn % 2], turn * 12, (turn + 1) * 12) for turn in range(4)
    ]
    assert (await lanjie(dsn, *words, "--days", 2)).output == "0 new shifts, 4 there already\n"
    refused = await lanjie(dsn, *words, "--days", 3, "--shift-hours", 8)
    assert refused.exit_code == 1
    assert "shift 1: " in refused.output


async def test_a_roster_is_shown_with_its_gaps(dsn: str, tmp_path: Path) -> None:
    lines = (line("SZ-LH-CZ", CUIZHU_OFFICER, 0, 12), line("SZ-LH-CZ", CUIZHU_OFFICER, 14, 24))
    await lanjie(dsn, "roster-load", roster(tmp_path, *lines))
    shown = (await lanjie(dsn, "roster-show", "SZ-LH-CZ")).output
    assert "SZ-LH-CZ 翠竹派出所" in shown
    assert [row.split()[-1] for row in shown.splitlines()[3:] if row] == [
        "nobody",
        CUIZHU_OFFICER,
        "nobody",
        CUIZHU_OFFICER,
        "nobody",
    ]
    assert f"{DAY:%m-%d %a} 20:00" in shown
    assert (await lanjie(dsn, "roster-show", "SZ-NONE")).exit_code == 1


async def test_shifts_that_have_not_begun_are_taken_off(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await on_duty(pool, CUIZHU_OFFICER, since=-1, hours=2)
    later = roster(tmp_path, line("SZ-LH-CZ", CUIZHU_OFFICER, 0, 12), line("SZ-LH-CZ", LUOHU_APPROVER, 24, 36))
    await lanjie(dsn, "roster-load", later)
    of_one = await lanjie(dsn, "roster-remove", "SZ-LH-CZ", "--from", "2026-01-01", "--officer", LUOHU_APPROVER)
    assert of_one.output == "removed 1 shifts\n"
    assert (await lanjie(dsn, "roster-remove", "SZ-LH-CZ", "--from", "2026-01-01")).output == "removed 1 shifts\n"
    assert await pool.fetchval("select count(*) from shift where starts_at < $1 and ends_at > $1", now()) == 1
