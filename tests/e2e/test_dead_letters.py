"""A dead letter's way: parked, listed, put back too early and parked again, put back and done; another one dropped."""

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.config import ROOT
from shared.events import Level, VerdictReached
from shared.kafka import Publisher
from shared.outbox import outgoing
from tests.e2e.stack import Stack
from tests.e2e.test_chain import eventually
from tests.service.notifier.builders import a_verdict, an_account
from tests.service.test_commands import Lanjie, lanjie

__all__ = ["lanjie"]

FEN = 43_210_987
PATIENCE_SECONDS = 60.0

Dead = Callable[..., Awaitable[str]]


@pytest.fixture
def dead(stack: Stack, lanjie: Lanjie) -> Dead:
    """Return `lanjie dead`, told what notifier is told."""
    names = ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "NARRATIVE_KEYS")
    told = stack.environment("notifier")

    async def run(*words: str) -> str:
        said = await lanjie("dead", *words, **{name: told[name] for name in names})
        assert said.exit_code == 0, said.output
        return str(said.output)

    return run


async def letter(stack: Stack, **facts: object) -> dict[str, Any]:
    """Wait for notifier's letter with these facts."""

    async def there() -> dict[str, Any] | None:
        async with stack.database("notifier") as database:
            rows = await database.fetch("select id::text, reason, state, attempts from dead_letter")
        return next((dict(row) for row in rows if facts.items() <= dict(row).items()), None)

    found: dict[str, Any] = await eventually(there, PATIENCE_SECONDS)
    return found


async def booked(stack: Stack, verdict: VerdictReached) -> list[int]:
    async with stack.database("notifier") as database:
        rows = await database.fetch("select fen from ledger where report_id = $1", verdict.report.report_id)
    return [row["fen"] for row in rows]


async def test_what_failed_is_parked_and_put_back_and_has_one_effect(stack: Stack, dead: Dead) -> None:
    async with stack.database("notifier") as database:  # the defect
        await database.execute(f"alter table report add constraint defect check (amount_fen <> {FEN})")
    verdict = a_verdict(an_account(), level=Level.CLEAR, amount_fen=FEN)
    publisher = Publisher(stack.info["kafka"], "/test")
    row = outgoing(verdict, verdict.verdict_id)
    assert await publisher.send([row]) == [row.id]
    await publisher.stop()
    parked = await letter(stack, reason="handler failed: CheckViolationError", state="parked")
    assert parked["id"] in {one["id"] for one in json.loads(await dead("list", "--json"))}
    told = json.loads(await dead("show", parked["id"], "--json"))
    assert told["record"]["value"]["event"] == VerdictReached.type

    replay = ("replay", parked["id"], "--by", "lu")
    assert "replayed 1 of 1" in await dead(*replay)
    await letter(stack, id=parked["id"], state="parked", attempts=2)  # nothing was mended yet

    async with stack.database("notifier") as database:
        await database.execute("alter table report drop constraint defect")
    assert "replayed 1 of 1" in await dead(*replay)
    assert await eventually(lambda: booked(stack, verdict), PATIENCE_SECONDS) == [FEN]
    assert "replayed 0 of 1" in await dead(*replay)
    await letter(stack, id=parked["id"], state="replayed", attempts=2)
    assert await booked(stack, verdict) == [FEN]


async def test_what_cannot_be_read_is_dropped_with_a_reason_on_the_local_run(stack: Stack) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stack.info["kafka"])
    await producer.start()
    headers = [("ce_type", b"lanjie.feedback.received.v1"), ("ce_id", b"0" * 32)]
    await producer.send_and_wait("lanjie.feedback.v1", key=b"k", value=b"{no json", headers=headers)
    await producer.stop()
    parked = await letter(stack, reason="not JSON", state="parked")
    said = on_the_run(stack, "drop", parked["id"], "--why", "sent by a test")
    assert said == "dropped 1 of 1\n"
    await letter(stack, id=parked["id"], state="dropped")


def on_the_run(stack: Stack, *words: str) -> str:
    """Run the command as one does who sits at the machine of a local run."""
    told = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    command = [str(Path(sys.executable).parent / "lanjie"), "dead", *words]
    environment = {**told, "LANJIE_RUN_DIR": str(stack.folder)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
