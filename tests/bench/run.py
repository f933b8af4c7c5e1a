"""`make bench`: throughput, latency and memory of a whole local run, measured from another process.

The embedded parts serve: the figures are for comparing changes on one machine, not for promising speed.
"""

import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.load import Load, saturate, steady
from tests.e2e.stack import Stack, running_stack

REPORTS = int(os.environ.get("REPORTS", "20000"))
CONNECTIONS = int(os.environ.get("CONNECTIONS", "32"))
RATE = float(os.environ.get("RATE", "50"))
SECONDS = float(os.environ.get("SECONDS", "60"))
SERVICES = ("intake", "rules", "notifier")
console = Console(highlight=False, width=110)


def memory_mb(stack: Stack) -> dict[str, float]:
    """Return each service's resident memory."""
    return {service: psutil.Process(stack.pid(service)).memory_info().rss / 2**20 for service in SERVICES}


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """Return the processor time each part has used, PostgreSQL with its children."""
    used = {}
    for part in (*SERVICES, "kafka", "postgres"):
        process = psutil.Process(stack.pid(part))
        times = [process.cpu_times()]
        for child in process.children(recursive=True):
            with suppress(psutil.Error):
                times.append(child.cpu_times())
        used[part] = sum(one.user + one.system for one in times)
    return used


async def count(stack: Stack, service: str, table: str) -> int:
    """Count a table's rows."""
    async with stack.database(service) as database:
        return int(await database.fetchval(f"select count(*) from {table}"))


async def until_counted(stack: Stack, service: str, table: str, number: int) -> None:
    """Return once a table has so many rows."""
    async with stack.database(service) as database:
        while await database.fetchval(f"select count(*) from {table}") < number:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def throughput(stack: Stack) -> dict[str, float]:
    """Post as fast as the door answers; return reports a second accepted, judged and put into cases."""
    before = await count(stack, "intake", "verdict")
    in_cases = await count(stack, "notifier", "alert")
    used = cpu_seconds(stack)
    began = time.monotonic()
    load = await saturate(stack.info["intake"], stack.info["bank_keys"]["ICBC"], REPORTS, CONNECTIONS)
    accepted = time.monotonic() - began
    await until_counted(stack, "intake", "verdict", before + REPORTS)
    judged = time.monotonic() - began
    await until_counted(stack, "notifier", "alert", in_cases + REPORTS)
    alerted = time.monotonic() - began
    after = cpu_seconds(stack)
    cost = {f"cpu ms a report, {part}": (after[part] - used[part]) / REPORTS * 1000 for part in used}
    return {
        "accepted a second": REPORTS / accepted,
        "verdict with the bank, a second": REPORTS / judged,
        "alerted a second": REPORTS / alerted,
        "answer p50 ms": percentile(load.answers, 50) * 1000,
        "answer p99 ms": percentile(load.answers, 99) * 1000,
        **cost,
    }


def percentile(values: list[float], share: int) -> float:
    """Return a percentile."""
    return statistics.quantiles(values, n=100)[share - 1]


async def latency(stack: Stack) -> dict[str, float]:
    """Post at a steady rate; time each report from when it was due to its alert on an officer's stream."""
    top = stack.officer("SZ")["Authorization"]
    heard: dict[str, float] = {}
    listening = asyncio.Event()

    async def listen() -> None:
        async with (
            httpx2.AsyncClient(timeout=None) as client,
            client.stream(
                "GET", f"{stack.info['notifier']}/v1/alerts/stream", headers={"Authorization": top}
            ) as response,
        ):
            listening.set()
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    heard[json.loads(line.removeprefix("data: "))["report_id"]] = time.time()

    listener = asyncio.create_task(listen())
    await listening.wait()
    load: Load = await steady(stack.info["intake"], stack.info["bank_keys"]["ICBC"], RATE, SECONDS)
    async with asyncio.timeout(30):
        while len(heard) < len(load.posted):  # noqa: ASYNC110 - the listener is a task of its own
            await asyncio.sleep(0.05)
    listener.cancel()
    waits = [heard[report_id] - due for report_id, due in load.posted.items()]
    return {
        "report to alert p50 ms": percentile(waits, 50) * 1000,
        "report to alert p99 ms": percentile(waits, 99) * 1000,
        "report to alert longest ms": max(waits) * 1000,
    }


async def measure(stack: Stack) -> None:
    """Measure one run and print it."""
    rest = memory_mb(stack)
    slow = await latency(stack)
    fast = await throughput(stack)
    full = memory_mb(stack)
    table = Table(title=f"{REPORTS} reports over {CONNECTIONS} connections; then {RATE:g} a second for {SECONDS:g} s")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in (slow | fast).items():
        table.add_row(name, f"{value:,.2f}" if value < 10 else f"{value:,.0f}")
    for service in SERVICES:
        table.add_row(f"memory MB, {service}: at rest → after", f"{rest[service]:.0f} → {full[service]:.0f}")
    console.print(table)
    result = {**slow, **fast, "memory_mb_at_rest": rest, "memory_mb_after": full}
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(result) + "\n")


def main() -> None:
    """Start a run of its own, measure, stop it."""
    console.print(f"{platform.platform()}, {os.cpu_count()} processors; embedded PostgreSQL and Kafka")
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder)) as stack:
        asyncio.run(measure(stack))


if __name__ == "__main__":
    main()
