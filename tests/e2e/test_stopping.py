"""SIGTERM under load: a service finishes what is in hand, hands over, and ends well; the others go on."""

import asyncio
import json
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.local.config import SERVICES
from tests.e2e.stack import Stack, one_more, running_stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies, steadily
from tests.faults.journal import Journal

STOPPED_WITHIN_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
PER_SECOND = 40


def complaints(log: Path) -> list[dict[str, Any]]:
    """Return the error and critical lines of a log."""
    found = []
    for line in log.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            said = json.loads(line)
            if said.get("level") in {"error", "critical"}:
                found.append(said)
        assert "Traceback" not in line
    return found


async def works(http: httpx2.AsyncClient, url: str) -> None:
    """Wait until a service is ready and has its share of the work."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(httpx2.HTTPError):
                answer = await http.get(f"{url}/health/ready")
                if answer.status_code == 200 and answer.json()["consumer"] == "ok":
                    return
            await asyncio.sleep(0.1)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kafka", ["embedded", "apache"])
async def test_each_service_ends_well_within_ten_seconds_under_load_and_nothing_is_lost(
    kafka: str, tmp_path: Path
) -> None:
    with running_stack(tmp_path, KAFKA=kafka) as stack:
        journal, enough = Journal(tmp_path / "journal.jsonl"), asyncio.Event()
        reports = bodies(random.Random(3), 100_000)  # noqa: S311 - a test's dice
        took: dict[str, tuple[int, float]] = {}
        async with httpx2.AsyncClient(timeout=10) as http, asyncio.TaskGroup() as group:
            bank = Bank(http, [stack.info["intake"]], stack.bank(Prefer="wait=5"), journal)
            group.create_task(steadily(bank, reports, PER_SECOND, enough))
            for service in SERVICES:
                await asyncio.sleep(1)  # of load
                began = time.monotonic()
                code = await asyncio.to_thread(stack.stop, service)
                took[service] = code, time.monotonic() - began
                stack.start(service)
                await works(http, stack.info[service])
            enough.set()
        await settled(stack.info["databases"], PATIENCE_SECONDS)
        outcome = await check(stack.info["databases"], journal)
        said = {service: complaints(tmp_path / "logs" / f"{service}.log") for service in SERVICES}
    assert {service: code for service, (code, _) in took.items()} == dict.fromkeys(SERVICES, 0)
    assert max(seconds for _, seconds in took.values()) < STOPPED_WITHIN_SECONDS
    assert said == {service: [] for service in SERVICES}
    assert outcome.healthy, outcome.broken[:5]


async def judged(stack: Stack) -> int:
    async with stack.database("rules") as rules:
        return int(await rules.fetchval("select count(*) from verdict"))


@pytest.mark.timeout(300)
async def test_the_other_replica_takes_over_within_seconds_of_a_stop(tmp_path: Path) -> None:
    with running_stack(tmp_path, KAFKA="apache") as stack:
        journal = Journal(tmp_path / "journal.jsonl")
        async with httpx2.AsyncClient(timeout=10) as http, one_more(stack, "rules") as second:
            bank = Bank(http, [stack.info["intake"]], stack.bank(), journal)
            second.terminate()
            assert await asyncio.to_thread(second.wait, STOPPED_WITHIN_SECONDS) == 0
            began = time.monotonic()
            made = list(bodies(random.Random(4), 100))  # noqa: S311 - a test's dice
            await bank.batch(made)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await judged(stack) < len(made):  # noqa: ASYNC110 - another process judges
                    await asyncio.sleep(0.05)
            took = time.monotonic() - began
        await settled(stack.info["databases"], PATIENCE_SECONDS)
        said = complaints(tmp_path / "logs" / "rules-2.log")
    assert took < 8, "the session of a member that left without a word lasts ten seconds"
    assert said == []
