"""Which unit is told of a report, and which units see its case."""

import shutil
from pathlib import Path

import pytest

from deploy.local.config import REFERENCE
from services.notifier import reference
from services.notifier.alerting import alert_store
from services.notifier.cases import inbox_store
from shared.postgres import Pool
from tests.parts import Door
from tests.service.notifier.builders import a_verdict, connected, take
from tests.service.notifier.police import CITY, CUIZHU, DONGMEN, FUTIAN, LUOHU, a_case, inbox


@pytest.mark.parametrize(
    ("branch", "unit", "path"),
    [
        ("ICBC-SZ-LH-001", "SZ-LH-CZ", "/SZ/SZ-LH/SZ-LH-CZ/"),
        ("CMB-SZ-LH-002", "SZ-LH-DM", "/SZ/SZ-LH/SZ-LH-DM/"),
        ("CMB-SZ-FT-001", "SZ-FT-HQB", "/SZ/SZ-FT/SZ-FT-HQB/"),
        ("ICBC-NOBODY-KNOWS", "SZ", "/SZ/"),
    ],
)
async def test_a_report_goes_to_the_unit_of_its_branch_and_an_unknown_branch_to_the_top(
    pool: Pool, branch: str, unit: str, path: str
) -> None:
    await take(pool, a_verdict(branch=branch))
    assert await pool.fetchval("select unit from fraud_case") == unit
    assert await pool.fetchval("select unit from report") == unit
    row = await pool.fetchrow("select unit, path from alert")
    assert row is not None
    assert tuple(row) == (unit, path)


async def test_an_officer_sees_the_cases_of_the_own_subtree_and_no_others(notifier: Door) -> None:
    case_id = await a_case(notifier, a_verdict(branch="ICBC-SZ-LH-001"))
    for who in (CUIZHU, LUOHU, CITY):
        assert [line["id"] for line in await inbox(notifier, who)] == [case_id]
    for who in (DONGMEN, FUTIAN):
        assert await inbox(notifier, who) == []


async def test_a_case_outside_the_subtree_looks_like_one_that_is_absent(notifier: Door) -> None:
    case_id = await a_case(notifier, a_verdict(branch="ICBC-SZ-LH-001"))
    answers = []
    for asked in (case_id, "01999999-0000-7000-8000-000000000000"):
        for method, path in (
            ("GET", ""),
            ("POST", "/acknowledge"),
            ("POST", "/orders"),
            ("POST", "/close"),
            ("POST", "/unmask"),
        ):
            bodies = {
                "/orders": {"kind": "stop"},
                "/close": {"finding": "confirmed", "reason": "x"},
                "/unmask": {"reason": "x"},
            }
            answer = await notifier.client.request(
                method, f"/v1/cases/{asked}{path}", json=bodies.get(path), headers=DONGMEN
            )
            answers.append((answer.status_code, answer.content))
    assert len(set(answers)) == 1
    assert answers[0][0] == 404
    for table in ("bank_order", "audit"):
        assert await notifier.count(table) == 0
    assert await notifier.rows("select status from fraud_case") == [{"status": "open"}]


async def test_a_report_of_another_stations_branch_lets_that_station_see_the_case_too(notifier: Door) -> None:
    case_id = await a_case(notifier, a_verdict(branch="ICBC-SZ-LH-001"))
    assert await inbox(notifier, DONGMEN) == []
    await take(notifier.pool, a_verdict(branch="ICBC-SZ-LH-002"))
    for who in (DONGMEN, CUIZHU):
        assert [(line["id"], line["unit"]) for line in await inbox(notifier, who)] == [(case_id, "SZ-LH-CZ")]
    assert (await notifier.client.post(f"/v1/cases/{case_id}/acknowledge", headers=DONGMEN)).status_code == 200
    assert await inbox(notifier, FUTIAN) == []


async def test_a_unit_that_moves_in_the_tree_takes_its_cases_and_alerts_along(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await take(pool, a_verdict(branch="ICBC-SZ-LH-001"))
    shutil.copytree(REFERENCE, tmp_path, dirs_exist_ok=True)
    units = (tmp_path / "units.csv").read_text(encoding="utf-8")
    (tmp_path / "units.csv").write_text(units.replace("翠竹派出所,3,SZ-LH\n", "翠竹派出所,3,SZ-FT\n"), encoding="utf-8")
    async with connected(dsn) as connection:
        await reference.load(connection, tmp_path)
    assert len(await inbox_store.inbox(pool, "/SZ/SZ-FT/SZ-LH-CZ/", None, None, 10)) == 1
    assert len(await inbox_store.inbox(pool, "/SZ/SZ-FT/", None, None, 10)) == 1
    assert await inbox_store.inbox(pool, "/SZ/SZ-LH/", None, None, 10) == []
    assert len(await alert_store.alerts_after(pool, "/SZ/SZ-FT/", 0, 10)) == 1
