"""Two of each service at once: they share the work, and one that comes or goes loses and doubles nothing."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from deploy.local.config import SERVICES
from tests.e2e.stack import Stack, running_stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies, morning
from tests.faults.journal import Journal
from tests.faults.replicas import Replica, replica

CLIENTS = 8
REPORTS = 240
PATIENCE_SECONDS = 120.0
ONE_BROKER = {"KAFKA": "apache"}  # the embedded broker leaves a killed replica's partitions with it for ever
THREE_BROKERS = {**ONE_BROKER, "KAFKA_BROKERS": "3"}


@pytest.fixture(params=[ONE_BROKER, THREE_BROKERS], ids=["one broker", "three brokers"])
def replicated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """Yield a run on one broker, and on a cluster of three."""
    with running_stack(tmp_path, **request.param) as running:
        yield running


@pytest.mark.timeout(480)
async def test_replicas_that_come_and_go_under_load_lose_and_double_nothing(replicated: Stack, tmp_path: Path) -> None:
    stack, journal = replicated, Journal(tmp_path / "journal.jsonl")
    filed = list(bodies(random.Random(7), REPORTS))  # noqa: S311 - a test's dice
    told = {part: stack.environment(part) for part in SERVICES}
    second: dict[str, Replica] = {}
    async with httpx2.AsyncClient(timeout=20) as http:
        try:
            # alone, then two of each, then the first of each gone, then both again: a quarter of the reports each time
            await _file(http, stack, [stack.info["intake"]], journal, filed)
            second |= {part: replica(stack, part, told[part]) for part in SERVICES}
            async with asyncio.TaskGroup() as group:
                group.create_task(_file(http, stack, [stack.info["intake"]], journal, filed))
                for one in second.values():
                    group.create_task(one.ready())
            both = [second["intake"].url, stack.info["intake"]]
            async with asyncio.TaskGroup() as group:
                group.create_task(_file(http, stack, both, journal, filed))
                for part in SERVICES:
                    group.create_task(asyncio.to_thread(stack.kill, part))
            for politely, part in ((True, "rules"), (True, "notifier"), (False, "intake")):
                async with asyncio.TaskGroup() as group:
                    group.create_task(_file(http, stack, [stack.info["intake"]], journal, filed, REPORTS // 12))
                    group.create_task(second[part].end(politely=politely))
            await settled(stack.info["databases"], PATIENCE_SECONDS)
        finally:
            for one in second.values():
                one.process.kill()
                one.process.wait()
    assert not filed
    outcome = await check(stack.info["databases"], journal)
    assert outcome.healthy, outcome.broken


async def _file(
    http: httpx2.AsyncClient,
    stack: Stack,
    urls: list[str],
    journal: Journal,
    filed: list[dict[str, object]],
    number: int = REPORTS // 4,
) -> None:
    """File the next reports at these doors; a client whose door is closed goes to the next."""
    queue = [filed.pop() for _ in range(number)]
    await morning(Bank(http, urls, stack.bank(), journal), queue, CLIENTS)
