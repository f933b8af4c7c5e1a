"""`python -m tests.bench.replicas --reports 4000`: how fast one and two consumers of a group drain a backlog.

rules and notifier one after the other, each alone on the machine with the broker and the database, so that what is
shown is the group's own. Reports are filed while both are down.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import httpx2
import psutil
from rich.console import Console
from rich.table import Table

from tests.e2e.stack import Stack, running_stack
from tests.faults.clients import Bank, bodies
from tests.faults.cluster import start, stop
from tests.faults.journal import Journal
from tests.faults.replicas import Replica, replica

GROUPS: Final = {"rules": "select count(*) from verdict", "notifier": "select count(*) from report"}
BATCH: Final = 200
WARM: Final = 0.2
"""So much of the backlog is done before the clock starts: the consumers have joined and are warm."""
console = Console(highlight=False, width=110)


@dataclass(frozen=True, slots=True)
class Drained:
    """How a backlog went. `busy` are processors that the group's own processes kept busy."""

    group: str
    consumers: int
    per_second: float
    milliseconds_each: float
    busy: float
    shares: Sequence[float]


async def measure(folder: Path, brokers: int, consumers: int, reports: int) -> list[Drained]:
    """Drain a backlog with so many consumers of each group."""
    with running_stack(folder, KAFKA="apache", KAFKA_BROKERS=str(brokers)) as stack:
        told = {part: stack.environment(part) for part in GROUPS}
        for part in GROUPS:
            stop(stack, part)
        await _file(stack, folder, reports)
        found = []
        for part, sql in GROUPS.items():
            more = [replica(stack, part, told[part]) for _ in range(consumers - 1)]
            try:
                start(stack, part)
                found.append(await _drained(stack, part, sql, reports, more))
            finally:
                for one in more:
                    await one.end(politely=True)
                stop(stack, part)
        return found


async def _file(stack: Stack, folder: Path, reports: int) -> None:
    filed = bodies(random.Random(1), reports, accounts=5_000)  # noqa: S311 - a test's dice
    async with httpx2.AsyncClient(timeout=60) as http:
        bank = Bank(http, [stack.info["intake"]], stack.bank(), Journal(folder / "journal.jsonl"))
        while page := list(islice(filed, BATCH)):
            await bank.batch(page)


async def _drained(stack: Stack, part: str, sql: str, reports: int, more: Sequence[Replica]) -> Drained:
    processes = [psutil.Process(stack.pid(part)), *(psutil.Process(one.process.pid) for one in more)]
    async with stack.database(part) as database:
        while await database.fetchval(sql) < WARM * reports:  # noqa: ASYNC110 - other processes count
            await asyncio.sleep(0.02)
        first, began, spent = await database.fetchval(sql), time.monotonic(), [_spent(one) for one in processes]
        while await database.fetchval(sql) < reports:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.02)
    seconds, done = time.monotonic() - began, reports - first
    used = [_spent(one) - before for one, before in zip(processes, spent, strict=True)]
    return Drained(
        group=part,
        consumers=len(processes),
        per_second=done / seconds,
        milliseconds_each=sum(used) / done * 1000,
        busy=sum(used) / seconds,
        shares=[one / sum(used) for one in used],
    )


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main(brokers: int, reports: int) -> None:
    """Print the table."""
    table = Table("group", "consumers", "reports a second", "processor ms a report", "processors busy", "shares")
    for consumers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            for one in asyncio.run(measure(Path(folder), brokers, consumers, reports)):
                shares = " ".join(f"{share:.0%}" for share in one.shares)
                numbers = (f"{one.per_second:,.0f}", f"{one.milliseconds_each:.2f}", f"{one.busy:.2f}", shares)
                table.add_row(one.group, str(one.consumers), *numbers)
    console.print(table)
    console.print(
        f"{reports:,} reports, {brokers} broker(s) of Apache Kafka, 4 partitions, {psutil.cpu_count()} processors, "
        f"shared with the broker and PostgreSQL; load average {psutil.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--brokers", type=int, default=1, choices=(1, 3))
    parser.add_argument("--reports", type=int, default=4_000)
    options = parser.parse_args()
    main(options.brokers, options.reports)
