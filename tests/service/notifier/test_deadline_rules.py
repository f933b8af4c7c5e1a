"""How long stages may take, from deadlines.csv to the clock of a case."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.local.config import REFERENCE
from services.notifier import reference
from services.notifier.cases.verdicts import take_verdicts
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Stage, Urgency
from shared.postgres import Pool
from tests.parts import IDENTITY
from tests.service.notifier.builders import a_verdict, an_account, connected, now

HEAD = "unit,urgency,stage,seconds\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of reference data to write deadlines into."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "reference"))


async def load(dsn: str, folder: Path, text: str) -> dict[str, int]:
    (folder / "deadlines.csv").write_text(text, encoding="utf-8")
    async with connected(dsn) as connection:
        return await reference.load(connection, folder)


async def test_the_demonstrations_deadlines_are_loaded(pool: Pool) -> None:
    rules = await clock_store.rules(pool)
    assert rules.span("SZ-LH-FZ", Urgency.URGENT, Stage.ACKNOWLEDGE) == timedelta(seconds=30)
    assert rules.span("SZ-LH-CZ", Urgency.URGENT, Stage.ACKNOWLEDGE) == timedelta(seconds=60)


async def test_a_case_of_a_unit_below_goes_by_the_rule_of_the_nearest_unit_above(
    dsn: str, pool: Pool, folder: Path
) -> None:
    loaded = await load(dsn, folder, HEAD + "SZ-LH,02,acknowledge,45\nSZ,02,acknowledge,90\n")
    assert loaded["deadlines"] == 2
    rules = await clock_store.rules(pool)
    verdicts = [a_verdict(an_account(), branch) for branch in ("ICBC-SZ-LH-001", "ICBC-SZ-FT-001")]
    await take_verdicts(pool, IDENTITY, rules, verdicts, now())
    rows = await pool.fetch(
        "select c.unit, extract(epoch from due_at - opened_at)::int from deadline d join fraud_case c on c.id = case_id"
    )
    assert {tuple(row) for row in rows} == {("SZ-LH-CZ", 45), ("SZ-FT-HQB", 90)}


async def test_loading_again_replaces_all_deadlines(dsn: str, pool: Pool, folder: Path) -> None:
    await load(dsn, folder, HEAD + "SZ-LH,02,acknowledge,45\nSZ,02,order,90\n")
    await load(dsn, folder, HEAD + "SZ-LH,02,acknowledge,50\n")
    rows = await pool.fetch("select unit, seconds from deadline_rule")
    assert [tuple(row) for row in rows] == [("SZ-LH", 50)]


async def test_a_folder_without_deadlines_leaves_them_as_they_are(dsn: str, pool: Pool, folder: Path) -> None:
    (folder / "deadlines.csv").unlink()
    before = await pool.fetchval("select count(*) from deadline_rule")
    async with connected(dsn) as connection:
        await reference.load(connection, folder)
    assert await pool.fetchval("select count(*) from deadline_rule") == before > 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("SZ-XX,02,acknowledge,60", "line 2: there is no unit 'SZ-XX' in units.csv"),
        ("SZ,03,acknowledge,60", "line 2: urgency is '03'; it must be one of 01, 02"),
        ("SZ,02,lunch,60", "line 2: stage is 'lunch'; it must be one of acknowledge, approve,"),
        ("SZ,02,expiry,60", "line 2: stage is 'expiry'"),
        ("SZ,02,acknowledge,0", "line 2: seconds is '0'; it must be a whole number from 1 to 2592000"),
        ("SZ,02,acknowledge,-5", "seconds is '-5'"),
        ("SZ,02,acknowledge,1.5", "seconds is '1.5'"),
        ("SZ,02,acknowledge,６０", "seconds is '６０'"),
        ("SZ,02,acknowledge,", "seconds is ''"),
        ("SZ,02,acknowledge", "seconds is ''"),
        ("SZ,02,acknowledge,99999999999", "seconds is '99999999999'"),
        (
            "SZ,02,acknowledge,60\nSZ,02,acknowledge,61",
            "line 3: says again how long SZ has for",
        ),
    ],
)
async def test_deadlines_that_make_no_sense_are_refused_and_change_nothing(
    dsn: str, pool: Pool, folder: Path, line: str, says: str
) -> None:
    before = await pool.fetch("select * from deadline_rule")
    with pytest.raises(ValueError, match=r"deadlines\.csv") as refused:
        await load(dsn, folder, HEAD + line + "\n")
    assert says in str(refused.value)
    assert await pool.fetch("select * from deadline_rule") == before
