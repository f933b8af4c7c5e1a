"""`lanjie dead`, on real databases; that letters are put back is shown end to end."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.dead_letters import Poison, ReasonClass, park
from shared.postgres import Pool, open_pool
from tests.parts import KEY_BYTES, NARRATIVE, NOWHERE
from tests.service.test_commands import Lanjie, lanjie

__all__ = ["lanjie"]

RECORD = Poison("lanjie.reports.v1", 3, 17, b"digest", b"key", "蒙世坤".encode(), "not JSON")
FAILED = replace(
    RECORD, sha256=b"b", reason="handler failed: KeyError", reason_class=ReasonClass.HANDLER_FAILED, offset=18
)


@pytest.fixture
async def dsn(database: Callable[[str], Awaitable[str]]) -> str:
    return await database("rules")


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """Yield the database of a service that has two letters."""
    opened = await open_pool(dsn, "rules", most=2)
    await park(opened, [RECORD, FAILED], NARRATIVE)
    yield opened
    await opened.close()


async def listed(lanjie: Lanjie, dsn: str, *words: str) -> list[dict[str, Any]]:
    said = await lanjie("dead", "list", "--json", *words, DATABASE_URL=dsn)
    assert said.exit_code == 0, said.output
    lines: list[dict[str, Any]] = json.loads(said.output)
    return lines


@pytest.mark.usefixtures("pool")
async def test_letters_are_listed_by_what_is_asked(lanjie: Lanjie, dsn: str) -> None:
    assert {(one["service"], one["reason"]) for one in await listed(lanjie, dsn)} == {
        ("rules", "not JSON"),
        ("rules", "handler failed: KeyError"),
    }
    [one] = await listed(lanjie, dsn, "--reason", "handler_failed", "--topic", "lanjie.reports.v1")
    assert (one["lay_at"], one["state"], one["attempts"]) == ("3/18", "parked", 1)
    assert await listed(lanjie, dsn, "--topic", "lanjie.cases.v1") == []
    table = await lanjie("dead", "list", DATABASE_URL=dsn)
    assert one["id"] in table.output
    assert "2 letters" in table.output


@pytest.mark.usefixtures("pool")
async def test_a_letter_is_shown_masked_with_what_was_done(lanjie: Lanjie, dsn: str) -> None:
    [one] = await listed(lanjie, dsn, "--reason", "bad_json")
    keys = {"DATABASE_URL": dsn, "NARRATIVE_KEYS": f"n1:{KEY_BYTES}"}
    said = await lanjie("dead", "show", one["id"], "--json", **keys)
    told = json.loads(said.output)
    assert told["record"]["value"] == {**told["record"]["value"], "bytes": 9, "built": "text, not JSON"}
    assert len(told["steps"]) == 1
    plain = await lanjie("dead", "show", one["id"], **keys)
    assert "parked by lanjie: not JSON" in plain.output
    assert "蒙世坤" not in said.output + plain.output


@pytest.mark.usefixtures("pool")
async def test_a_letter_that_is_dropped_leaves_a_trail(lanjie: Lanjie, dsn: str) -> None:
    [one] = await listed(lanjie, dsn, "--reason", "bad_json")
    drop = ("dead", "drop", one["id"], "--by", "lu")
    assert (await lanjie(*drop, "--why", " ", DATABASE_URL=dsn)).exit_code == 1
    said = await lanjie(*drop, "--why", "sent by a test", DATABASE_URL=dsn)
    assert said.output == "dropped 1 of 1\n"
    assert len(await listed(lanjie, dsn)) == 1
    [dropped] = await listed(lanjie, dsn, "--state", "dropped")
    assert dropped["id"] == one["id"]
    told = await lanjie("dead", "show", one["id"], NARRATIVE_KEYS=f"n1:{KEY_BYTES}", DATABASE_URL=dsn)
    assert "dropped by lu: sent by a test" in told.output
    assert "dropped 0 of 1" in (await lanjie(*drop, "--why", "again", DATABASE_URL=dsn)).output


@pytest.mark.usefixtures("pool")
async def test_letters_that_cannot_be_put_back_stay_and_the_command_says_so(lanjie: Lanjie, dsn: str) -> None:
    told = {"DATABASE_URL": dsn, "KAFKA_BOOTSTRAP_SERVERS": NOWHERE, "NARRATIVE_KEYS": f"n1:{KEY_BYTES}"}
    said = await lanjie("dead", "replay", "--all", **told)
    assert said.exit_code == 1
    assert "stay parked" in said.output
    assert len(await listed(lanjie, dsn)) == 2
    told["NARRATIVE_KEYS"] = f"n2:{KEY_BYTES}"
    said = await lanjie("dead", "replay", "--all", **told)
    assert (said.exit_code, "n1" in said.output) == (1, True), "it names the key that is missing"


@pytest.mark.usefixtures("pool")
async def test_which_letters_must_be_said_and_be_clear(lanjie: Lanjie, dsn: str) -> None:
    ids = [one["id"] for one in await listed(lanjie, dsn)]
    begins = ids[0][:4]
    for words, why in (
        ((), "say which"),
        (("--all", "--reason", "key"), "say which"),
        (("0000",), "there is no letter"),
        ((begins,), "several letters begin"),
    ):
        said = await lanjie("dead", "drop", *words, "--why", "x", DATABASE_URL=dsn)
        assert (said.exit_code, why in said.output) == (1, True), said.output


async def test_without_a_database_and_without_a_run_the_command_says_what_it_needs(
    lanjie: Lanjie, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    said = await lanjie("dead", "list", LANJIE_RUN_DIR=str(tmp_path))
    assert said.exit_code == 1
    assert "set DATABASE_URL" in said.output


@pytest.mark.usefixtures("pool")
async def test_without_a_database_all_of_the_local_run_are_looked_at(
    lanjie: Lanjie, dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    run = {"databases": {"rules": dsn}, "kafka": NOWHERE}
    (tmp_path / "lanjie.json").write_text(json.dumps(run), encoding="utf-8")
    said = await lanjie("dead", "list", "--json", LANJIE_RUN_DIR=str(tmp_path))
    assert len(json.loads(said.output)) == 2
