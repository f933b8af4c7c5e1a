"""What hangs for good ends the process; what is only busy, halted or away does not."""

import asyncio
import gc
import json
import subprocess
import sys
import uuid
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.local.config import ROOT
from shared.broker_tls import Tls
from shared.consumer import Consumer
from shared.events import DISPOSITIONS
from shared.kafka import Publisher, ensure_topics
from shared.postgres import open_pool
from shared.probing import Tuning
from shared.watchdog import HUNG, REFUSED, brokers_are_well, watch_producer
from tests.e2e.test_consumer import Ears, broker, disposition
from tests.parts import KEY_BYTES, NOWHERE, DatabaseServer

__all__ = ["broker"]

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
"""What gives up leaves its connections as they are: in earnest the process ends there."""


@pytest.fixture(scope="module", autouse=True)
def _what_was_given_up_is_gone_before_the_next_tests() -> Iterator[None]:
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


class GaveUp:
    """Takes down what was given up, instead of ending the process."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.event = asyncio.Event()

    def __call__(self, what: str, _seconds: float) -> None:
        self.told.append(what)
        self.event.set()


async def test_a_consumer_whose_handler_hangs_is_built_anew_and_then_given_up(broker: str) -> None:
    calls, gave_up = [], GaveUp()

    async def hang(_batch: object) -> None:
        calls.append(1)
        await asyncio.Event().wait()

    consumer = Consumer(
        broker,
        f"test-{uuid.uuid4().hex[:8]}",
        [DISPOSITIONS],
        instance="one",
        handle=hang,
        park=hang,
        tuning=Tuning(stuck_seconds=1.0, give_up=gave_up),
    )
    publisher = Publisher(broker, "/test")
    await publisher.send([disposition()])
    consumer.start()
    await asyncio.wait_for(gave_up.event.wait(), 60)
    assert gave_up.told[0] == "consumer"
    assert len(calls) >= 2, "it was built anew before"
    await consumer.stop()
    await publisher.stop()


async def test_a_consumer_that_halted_for_a_defect_stays_up_and_is_not_given_up(broker: str) -> None:
    gave_up, ears, group = GaveUp(), Ears(), f"test-{uuid.uuid4().hex[:8]}"

    async def refuse(_records: object) -> None:
        raise ValueError

    tuning = Tuning(stuck_seconds=0.5, give_up=gave_up)
    consumer = Consumer(broker, group, [DISPOSITIONS], instance="one", handle=ears.handle, park=refuse, tuning=tuning)
    ears.fail = lambda _batch: ValueError()
    publisher = Publisher(broker, "/test")
    await publisher.send([disposition()])
    consumer.start()
    async with asyncio.timeout(60):
        while not (consumer.progress.halted and consumer.progress.stuck_seconds() > 1.5):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert consumer.progress.state() == "halted"
    assert gave_up.told == []
    await consumer.stop()
    await publisher.stop()


async def test_more_members_than_partitions_leave_some_on_standby_and_they_take_over_from_one_that_leaves(
    broker: str,
) -> None:
    group = f"test-{uuid.uuid4().hex[:8]}"
    heard = [Ears() for _ in range(5)]
    members = [
        Consumer(broker, group, [DISPOSITIONS], instance=str(number), handle=ears.handle, park=ears.park)
        for number, ears in enumerate(heard)
    ]
    for member in members:
        member.start()

    async def states(wanted: list[str]) -> None:
        async with asyncio.timeout(60):
            while sorted(member.progress.state() for member in members if member) != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    await states(["ok"] * 4 + ["standby"])
    leaving = next(member for member in members if member.progress.state() == "ok")
    members.remove(leaving)
    await leaving.stop()
    await states(["ok"] * 4)
    for member in members:
        await member.stop()


async def test_a_producer_is_given_up_only_while_the_brokers_are_well(broker: str) -> None:
    gave_up, publisher = GaveUp(), Publisher(NOWHERE, "/test")
    await publisher.send([disposition()])
    assert publisher.failing_seconds() > 0

    async def away() -> bool:
        return await brokers_are_well(NOWHERE, 1)

    async def well() -> bool:
        return await brokers_are_well(broker, 1)

    watching = asyncio.create_task(watch_producer(publisher.failing_seconds, away, 0.2, gave_up))
    await asyncio.sleep(1.0)  # several times its patience
    assert gave_up.told == []
    watching.cancel()
    watching = asyncio.create_task(watch_producer(publisher.failing_seconds, well, 0.2, gave_up))
    await asyncio.wait_for(gave_up.event.wait(), 30)
    assert gave_up.told[0] == "producer"
    watching.cancel()
    await publisher.stop()


async def test_certificates_that_are_just_renewed_end_no_watchdog(tmp_path: Path) -> None:
    assert not await brokers_are_well(NOWHERE, 1, Tls(tmp_path / "not there yet.crt"))


async def test_after_an_outage_a_producer_has_its_whole_patience_again() -> None:
    gave_up, looks, loop = GaveUp(), list[float](), asyncio.get_running_loop()

    async def back_after_three_looks() -> bool:
        looks.append(loop.time())
        return len(looks) > 3

    watching = asyncio.create_task(watch_producer(lambda: 1000.0, back_after_three_looks, 0.25, gave_up))
    await asyncio.wait_for(gave_up.event.wait(), 30)
    assert loop.time() - looks[3] >= 0.25
    watching.cancel()


async def test_a_producer_that_succeeds_again_is_not_failing(broker: str) -> None:
    publisher = Publisher(broker, "/test")
    row = disposition()
    assert await publisher.send([row]) == [row.id]
    assert publisher.failing_seconds() == 0
    await publisher.stop()


def settings(dsn: str, bootstrap: str, **more: str) -> dict[str, str]:
    return {
        "DATABASE_URL": dsn,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "PORT": "0",
        "NARRATIVE_KEYS": f"n1:{KEY_BYTES}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT),
        **more,
    }


def run_rules(told: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run the service until it ends by itself."""
    command = [sys.executable, "-m", "services.rules"]
    return subprocess.run(command, env=told, capture_output=True, text=True, timeout=90, check=False)


def lines_of(said: str) -> list[dict[str, str]]:
    found = []
    for line in said.splitlines():
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


async def test_a_process_whose_producer_is_stuck_ends_with_its_own_code_and_one_critical_line(
    database: Callable[[str], Awaitable[str]], broker: str
) -> None:
    dsn = await database("rules")
    await ensure_topics(broker, partitions=4, replicas=1)
    connection = await open_pool(dsn, "rules", most=2)
    await connection.execute(
        """
        insert into outbox (id, topic, key, type, payload, traceparent, awaits_answer, reason, due_at)
        values (gen_random_uuid(), 'no such topic', 'k', 'lanjie.verdict.reached.v1', '{}', '', false, '', now())
        """
    )
    await connection.close()
    done = await asyncio.to_thread(run_rules, settings(dsn, broker, WATCHDOG_SECONDS="2"))
    [line] = [line for line in lines_of(done.stdout + done.stderr) if line["level"] == "critical"]
    assert done.returncode == HUNG
    assert (line["event"], line["stuck"]) == ("gave_up", "producer")


async def test_a_database_that_may_forget_is_refused_with_a_sentence(server: DatabaseServer) -> None:
    dsn = await server.clone("rules")
    told = settings(f"{dsn}?options=-c%20synchronous_commit%3Doff", NOWHERE)
    done = await asyncio.to_thread(run_rules, told)
    [line] = [line for line in lines_of(done.stdout + done.stderr) if line["level"] == "critical"]
    assert done.returncode == REFUSED
    assert "synchronous_commit is off" in line["why"]


async def test_brokers_that_keep_fewer_copies_than_meant_are_refused_with_a_sentence(
    server: DatabaseServer, broker: str
) -> None:
    told = settings(await server.clone("rules"), broker, KAFKA_REPLICAS="3")
    done = await asyncio.to_thread(run_rules, told)
    [line] = [line for line in lines_of(done.stdout + done.stderr) if line["level"] == "critical"]
    assert done.returncode == REFUSED
    assert "keeps 1 of 3 copies" in line["why"]
