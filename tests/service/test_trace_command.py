"""`lanjie trace`, on real databases; a whole way is shown end to end."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.dead_letters import Poison, ReasonClass, park
from shared.postgres import open_pool
from tests.fakes.collector import HOST
from tests.parts import KEY_BYTES, NARRATIVE, a_key, a_report, bank, intake_door
from tests.service.test_commands import Lanjie, lanjie

__all__ = ["lanjie"]

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
AWAY = f"postgresql://nobody@{HOST}:9/notifier"
KEYS = {"NARRATIVE_KEYS": f"n1:{KEY_BYTES}"}


@pytest.fixture
async def filed(database: Callable[[str], Awaitable[str]]) -> tuple[str, str, dict[str, Any]]:
    """Return a report that nobody has judged: its id, the addresses of intake and rules, and what was posted."""
    dsn, body = await database("intake"), a_report()
    async with intake_door(dsn) as door:
        headers = bank(**{"Idempotency-Key": a_key(), "traceparent": GIVEN})
        answer = await door.client.post("/v1/reports", json=body, headers=headers)
    return answer.json()["id"], f"{dsn} {await database('rules')}", body


async def traced(lanjie: Lanjie, *words: str, **told: str) -> dict[str, Any]:
    said = await lanjie("trace", *words, "--json", **told)
    assert said.exit_code == 0, said.output
    found: dict[str, Any] = json.loads(said.output)
    return found


async def test_a_report_that_nobody_has_judged_shows_what_is_open_and_which_part_is_missing(
    lanjie: Lanjie, filed: tuple[str, str, dict[str, Any]]
) -> None:
    report_id, urls, _ = filed
    told = await traced(lanjie, report_id, DATABASE_URL=f"{urls} {AWAY}")
    assert (told["report_id"], told["trace_id"]) == (report_id, GIVEN[3:35])
    assert [(one["service"], one["step"], one["ms"]) for one in told["steps"]] == [("intake", "accepted", 0)]
    assert [one["service"] for one in told["open"]] == ["intake"]
    assert told["open"][0]["what"].startswith("lanjie.report.filed.v1 ")
    assert told["missing"]["notifier"] == "is at no address that was reached"
    assert "address 3" in next(iter(told["missing"]))


async def test_a_bank_may_be_asked_about_by_its_own_reference(
    lanjie: Lanjie, filed: tuple[str, str, dict[str, Any]]
) -> None:
    report_id, urls, body = filed
    told = await traced(lanjie, body["bank_reference"], "--bank", "ICBC", DATABASE_URL=urls)
    assert told["report_id"] == report_id
    others = await lanjie("trace", body["bank_reference"], "--bank", "CCB", DATABASE_URL=urls)
    assert (others.exit_code, "no report under that reference" in others.output) == (1, True)
    alone = await lanjie("trace", body["bank_reference"], "--bank", "ICBC", DATABASE_URL=urls.split()[1])
    assert "only intake knows" in alone.output
    without = await lanjie("trace", body["bank_reference"], DATABASE_URL=urls)
    assert "add --bank" in without.output


async def test_dead_letters_that_name_the_report_are_shown_where_they_can_be_opened(
    lanjie: Lanjie, filed: tuple[str, str, dict[str, Any]]
) -> None:
    report_id, urls, _ = filed
    value, failed = f'{{"report_id": "{report_id}"}}'.encode(), ReasonClass.HANDLER_FAILED
    mine = Poison("lanjie.reports.v1", 0, 1, b"a", b"key", value, "handler failed: KeyError", (), failed)
    other = Poison("lanjie.reports.v1", 0, 2, b"b", b"key", b"{}", "handler failed: ValueError", (), failed)
    pool = await open_pool(urls.split()[1], "rules", most=2)
    await park(pool, [mine, other], NARRATIVE)
    await pool.close()
    told = await traced(lanjie, report_id, DATABASE_URL=urls, **KEYS)
    assert [(one["service"], one["reason"]) for one in told["dead_letters"]] == [("rules", "handler failed: KeyError")]
    assert "dead letters" not in told["missing"]


async def test_without_the_keys_sealed_letters_are_named_as_missing(
    lanjie: Lanjie, filed: tuple[str, str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    report_id, urls, _ = filed
    pool = await open_pool(urls.split()[1], "rules", most=2)
    await park(pool, [Poison("lanjie.reports.v1", 0, 1, b"a", b"key", b"{}", "not JSON")], NARRATIVE)
    await pool.close()
    monkeypatch.delenv("NARRATIVE_KEYS", raising=False)
    told = await traced(lanjie, report_id, DATABASE_URL=urls, LANJIE_RUN_DIR="/nowhere")
    assert "set NARRATIVE_KEYS" in told["missing"]["dead letters"]


async def test_a_person_reads_a_table_without_personal_data(
    lanjie: Lanjie, filed: tuple[str, str, dict[str, Any]]
) -> None:
    report_id, urls, body = filed
    said = await lanjie("trace", report_id, DATABASE_URL=urls)
    assert "+ms" in said.output
    assert "accepted" in said.output
    assert "missing notifier" in said.output
    people = [text for who in ("payer", "payee") for text in body[who].values() if len(text) > 4]
    assert [text for text in (*people, body["bank_reference"], body["teller_id"]) if text in said.output] == []


async def test_a_report_that_nobody_knows_is_refused(lanjie: Lanjie, filed: tuple[str, str, dict[str, Any]]) -> None:
    _, urls, _ = filed
    said = await lanjie("trace", "01900000-0000-7000-8000-000000000000", DATABASE_URL=urls)
    assert (said.exit_code, "knows this report" in said.output) == (1, True)
