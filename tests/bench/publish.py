"""`python -m tests.bench.publish`: how soon a published rule pack judges, on each of two replicas, under load.

PUBLISHES packs are published by the command that analysts type, each with a rule of its own, while RATE reports
a second come in. Timed are the command itself, and from its transaction to the first verdict by the new
version on each replica. `--json` adds the figures as JSON.
"""

import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil
from rich.console import Console
from rich.table import Table

from deploy.local.config import REFERENCE
from shared.postgres import RawConnection
from tests.bench.load import requests, steady
from tests.bench.measuring import percentile
from tests.e2e.stack import Stack, one_more, running_stack

PUBLISHES: Final = int(os.environ.get("PUBLISHES", "50"))
RATE: Final = float(os.environ.get("RATE", "100"))
SPELL_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 60.0
console = Console(highlight=False, width=110)

NOTE_WHO_JUDGES: Final = """
    create table judged_by (version integer, port integer, at timestamptz, primary key (version, port));
    create function note_who_judges() returns trigger language plpgsql as $$
    begin
        insert into judged_by
        select version, inet_client_port(), clock_timestamp() from (select distinct pack_version from fresh) f (version)
        on conflict do nothing;
        return null;
    end
    $$;
    create trigger note_who_judges after insert on verdict referencing new table as fresh
    for each statement execute function note_who_judges();
"""
"""A verdict does not say which replica reached it; the connection it came over does."""

FIRST: Final = """
    select port, (extract(epoch from at - released_at) * 1000)::float8 as ms
    from judged_by cross join (select * from pack_release order by id desc limit 1) r
    where judged_by.version = r.version
"""


def write_pack(folder: Path, number: int) -> None:
    """Write the pack of this number: the reference pack and a rule that no other one has."""
    rule = (
        f"{{id: bench-{number}, title: 测试, when: transfer.amount_yuan >= {number}, weight: 1, why: 第 {number} 版}}"
    )
    (folder / "bench.yaml").write_text(f"title: 测试\nowner: 测试\nrules:\n  - {rule}\n", encoding="utf-8")


def ports(pid: int) -> set[int]:
    """Return the local ports of a process's connections."""
    return {connection.laddr.port for connection in psutil.Process(pid).net_connections("tcp")}


async def first_verdicts(database: RawConnection, replicas: Mapping[str, int]) -> dict[str, float]:
    """Return how long after the latest release each replica reached its first verdict by it, once all have (ms)."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            rows = await database.fetch(FIRST)
            own = {name: ports(pid) for name, pid in replicas.items()}
            taken = {name: [row["ms"] for row in rows if row["port"] in own[name]] for name in replicas}
            if all(taken.values()):
                return {name: min(times) for name, times in taken.items()}
            await asyncio.sleep(0.05)


async def publish_all(stack: Stack, replicas: Mapping[str, int], folder: Path) -> dict[str, list[float]]:
    """Publish one pack after the other; return all times in ms."""
    taken: dict[str, list[float]] = {}
    shutil.copytree(REFERENCE / "rules", folder)
    async with stack.database("rules") as database:
        await database.execute(NOTE_WHO_JUDGES)
        for number in range(1, PUBLISHES + 1):
            write_pack(folder, number)
            began = time.perf_counter()
            await stack.lanjie("rules", "publish", str(folder), "--author", "bench")
            command = (time.perf_counter() - began) * 1000
            first = await first_verdicts(database, replicas)
            times = {"the command itself": command, **first, "the later of the two": max(first.values())}
            for name, ms in times.items():
                taken.setdefault(name, []).append(ms)
    return taken


async def measure(stack: Stack, folder: Path) -> dict[str, list[float]]:
    """Publish under load, with two replicas."""
    done = asyncio.Event()

    async def load() -> None:
        while not done.is_set():
            made = requests(int(RATE * SPELL_SECONDS), stack.info["intake"], stack.info["bank_keys"]["ICBC"])
            await steady(stack.info["intake"], made, RATE)

    async with one_more(stack, "rules") as second, asyncio.TaskGroup() as group:
        group.create_task(load())
        replicas = {"to effect, replica 1": stack.pid("rules"), "to effect, replica 2": second.pid}
        taken = await publish_all(stack, replicas, folder)
        done.set()
    return taken


def main() -> None:
    """Start a run of its own, measure, stop it, print."""
    console.print(f"{platform.platform()}, {os.cpu_count()} processors; embedded PostgreSQL and Kafka")
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder) / "run") as stack:
        taken = asyncio.run(measure(stack, Path(folder) / "pack"))
    table = Table(title=f"{PUBLISHES} publishes at {RATE:g} reports a second, ms")
    for column in ("", "median", "p95", "max"):
        table.add_column(column, justify="right" if column else "left")
    figures = {
        name: {"median": percentile(times, 50), "p95": percentile(times, 95), "max": max(times)}
        for name, times in taken.items()
    }
    for name, figure in figures.items():
        table.add_row(name, *(f"{ms:,.0f}" for ms in figure.values()))
    console.print(table)
    if "--json" in sys.argv:
        result = {"publishes": PUBLISHES, "reports_a_second": RATE, "ms": figures}
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
