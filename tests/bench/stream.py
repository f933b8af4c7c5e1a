"""`python -m tests.bench.stream`: how long an alert takes from its commit to many screens that follow the stream.

A notifier process on real PostgreSQL, the screens in another process, the alerts written from this one. Every
screen is of the city's unit, so every alert goes to all of them. Besides, one screen reads nothing and one leaves
every two seconds and comes back. Then the same screens on a bare server that only passes bytes on: the floor.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx2
import psutil
from rich.console import Console
from rich.table import Table

from deploy.local.config import HOST, free_port
from services.notifier.alerting import alert_store
from services.notifier.alerting.alert_store import Alert
from shared.access import fingerprint
from shared.outbox import new_id
from shared.postgres import Pool, open_pool
from tests.bench.stream_readers import token_of
from tests.parts import KEY_BYTES, NOWHERE, database_server
from tests.service.notifier.builders import a_verdict, now, take

DRAIN_SECONDS: Final = 5
SETTLE_SECONDS: Final = 2.0
console = Console(highlight=False, width=110)


@dataclass(frozen=True, slots=True)
class Asked:
    """The size of the run."""

    readers: int
    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Seconds from each commit to each screen that read the alert; screens that read not all or not in order."""

    delays: list[float]
    wrong: int
    resumed_wrong: int
    cpu: float


@contextmanager
def process(
    *words: str, output: int = subprocess.DEVNULL, told: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our modules for as long as the context lasts."""
    running = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=None if output == subprocess.PIPE else output,
        env={**os.environ, **(told or {})},
    )
    try:
        yield running
    finally:
        running.terminate()
        running.communicate(timeout=20)


async def until_it_listens(port: int) -> None:
    """Return once somebody accepts connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def write_alerts(asked: Asked, write: Callable[[], Awaitable[tuple[int, float]]]) -> dict[int, float]:
    """Write at a fixed rate, each when it is due; return when each position was committed."""
    began, written = time.time(), {}
    for number in range(int(asked.rate * asked.seconds)):
        await asyncio.sleep(max(0.0, began + number / asked.rate - time.time()))
        position, at = await write()
        written[position] = at
    return written


async def screens(
    asked: Asked, port: int, server: int, write: Callable[[], Awaitable[tuple[int, float]]], *hard: str
) -> Outcome:
    """Let the screens read what is written."""
    with (
        tempfile.NamedTemporaryFile() as file,
        process(
            "tests.bench.stream_readers", str(port), str(asked.readers), file.name, *hard, output=subprocess.PIPE
        ) as readers,
    ):
        assert readers.stdout
        assert readers.stdin
        assert await asyncio.to_thread(readers.stdout.readline) == b"ready\n"
        await asyncio.sleep(SETTLE_SECONDS)
        before, began = psutil.Process(server).cpu_times(), time.monotonic()
        written = await write_alerts(asked, write)
        after, took = psutil.Process(server).cpu_times(), time.monotonic() - began
        await asyncio.sleep(SETTLE_SECONDS)
        readers.stdin.close()
        readers.stdin = None
        await asyncio.to_thread(readers.wait, 60)
        read = json.load(file)
    return Outcome(
        [at - written[position] for screen in read["screens"] for position, at in screen],
        sum([position for position, _ in screen] != list(written) for screen in read["screens"]),
        bool(hard) and [position for position, _ in read["resumed"]] != list(written),
        (after.user + after.system - before.user - before.system) / took,
    )


@asynccontextmanager
async def alert_writer(pool: Pool) -> AsyncIterator[Callable[[], Awaitable[tuple[int, float]]]]:
    """Yield a function that commits an alert and returns its position and when its commit began."""
    await take(pool, a_verdict())
    [row] = await pool.fetch("select case_id, unit, path, facts from alert")
    facts: dict[str, Any] = json.loads(row["facts"])
    model = Alert(new_id(), row["case_id"], new_id(), row["unit"], row["path"], facts, now())

    async def write() -> tuple[int, float]:
        alert_id = new_id()
        alert = replace(model, id=alert_id, facts={**facts, "alert_id": str(alert_id)}, created_at=now())
        async with pool.acquire() as connection, connection.transaction():
            await alert_store.insert_alerts(connection, [alert])
            position: int = await connection.fetchval("select max(position) from alert")
            at = time.time()
        return position, at

    yield write


async def on_notifier(asked: Asked, dsn: str) -> tuple[Outcome, list[str]]:
    """Measure notifier; also return what it says of itself."""
    port = free_port()
    environment = {
        "DATABASE_URL": dsn,
        "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
        "PORT": str(port),
        "TOKEN_KEY": KEY_BYTES,
        "IDENTITY_KEYS": f"i1:{KEY_BYTES}",
        "NARRATIVE_KEYS": f"n1:{KEY_BYTES}",
        "STREAM_DRAIN_SECONDS": str(DRAIN_SECONDS),
    }
    pool = await open_pool(dsn, "notifier", most=2)
    await pool.executemany(
        "insert into officer (id, name, unit, role, token_sha256) values ($1, $2, 'SZ', 'officer', $3)",
        [(new_id(), f"bench-{number}", fingerprint(token_of(number))) for number in range(asked.readers + 2)],
    )
    async with alert_writer(pool) as write, httpx2.AsyncClient() as client:
        with process("services.notifier", told=environment) as notifier:
            await until_it_listens(port)
            outcome = await screens(asked, port, notifier.pid, write, "--hard")
            said = (await client.get(f"http://{HOST}:{port}/metrics")).text
            memory = f"memory {psutil.Process(notifier.pid).memory_info().rss / 2**20:.0f} MB"
    await pool.close()
    lines = [line for line in said.splitlines() if line.startswith("lanjie_stream_readers_dropped_total")]
    return outcome, [*lines, memory]


async def on_the_floor(asked: Asked, text: bytes) -> Outcome:
    """Measure the bare server."""
    port, feed_port = free_port(), free_port()
    with process("tests.bench.stream_floor", str(port), str(feed_port)) as server:
        await until_it_listens(feed_port)
        _, feed = await asyncio.open_connection(HOST, feed_port)
        position = 0

        async def write() -> tuple[int, float]:
            nonlocal position
            position += 1
            at = time.time()
            feed.write(b"id: %d\nevent: alert\ndata: %b\n\n" % (position, text))
            await feed.drain()
            return position, at

        outcome = await screens(asked, port, server.pid, write)
        feed.close()
    return outcome


def figures(outcome: Outcome) -> dict[str, float]:
    """Return what is to be compared."""
    shares = statistics.quantiles(outcome.delays, n=100)
    return {
        "commit to screen p50, ms": shares[49] * 1000,
        "commit to screen p99, ms": shares[98] * 1000,
        "commit to screen longest, ms": max(outcome.delays) * 1000,
        "processor, % of one": outcome.cpu * 100,
        "screens that missed or repeated an alert": outcome.wrong,
    }


async def measure(asked: Asked, dsn: str) -> None:
    """Measure both and print them side by side."""
    outcome, said = await on_notifier(asked, dsn)
    pool = await open_pool(dsn, "notifier", most=2)
    text = (await pool.fetchval("select facts from alert limit 1")).encode()
    await pool.close()
    ours, floor = figures(outcome), figures(await on_the_floor(asked, text))
    table = Table(title=f"{asked.readers} screens, {asked.rate:g} alerts a second for {asked.seconds:g} s")
    for column in ("", "notifier", "bare server", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    for name, value in ours.items():
        ratio = f"{value / floor[name]:.1f}" if floor[name] > 1 else ""
        table.add_row(name, f"{value:,.1f}", f"{floor[name]:,.1f}", ratio)
    console.print(table)
    console.print(f"the screen that comes and goes missed or repeated an alert: {bool(outcome.resumed_wrong)}", *said)
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({"notifier": ours, "floor": floor}) + "\n")


def main() -> None:
    """Start what is needed, measure, stop it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--readers", type=int, default=500)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    console.print(f"{platform.platform()}, {os.cpu_count()} processors; embedded PostgreSQL")
    with tempfile.TemporaryDirectory() as folder, database_server(Path(folder)) as server:
        asyncio.run(server.make_templates())
        dsn = asyncio.run(server.clone("notifier"))
        asyncio.run(measure(Asked(given.readers, given.rate, given.seconds), dsn))


if __name__ == "__main__":
    main()
