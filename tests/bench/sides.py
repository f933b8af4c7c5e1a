"""The two sides of the bench, on the same machine, broker and database: the services, and the floor."""

import asyncio
import os
import subprocess
import sys
import xmlrpc.client
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import httpx2
import psutil
from supervisor.xmlrpc import SupervisorTransport

from deploy.local.config import HOST, ROOT, SERVICES, free_port
from tests.e2e.stack import Stack

PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Side:
    """What is measured: where its doors are, where its alerts are counted, and its processes by name."""

    name: str
    door: str
    key: str
    stream: str
    stream_headers: Mapping[str, str]
    dsn: str
    newest: str
    since: str
    processes: Mapping[str, psutil.Process]

    @asynccontextmanager
    async def alerts(self) -> AsyncIterator[Callable[[], Awaitable[int]]]:
        """Yield a function that counts the alerts committed from now on; `newest` and `since` are its SQL."""
        connection = await asyncpg.connect(self.dsn)
        try:
            mark = await connection.fetchval(self.newest)

            async def count() -> int:
                return int(await connection.fetchval(self.since, mark))

            yield count
        finally:
            await connection.close()


@contextmanager
def supervisor(stack: Stack) -> Iterator[Any]:
    """Yield the commands of a run's supervisor."""
    transport = SupervisorTransport(None, None, f"unix://{stack.folder}/supervisor.sock")
    try:
        yield xmlrpc.client.ServerProxy(f"http://{HOST}", transport=transport).supervisor
    finally:
        transport.close()


@asynccontextmanager
async def lanjie_side(stack: Stack) -> AsyncIterator[Side]:
    """Have the services up, and stop them afterwards."""
    with supervisor(stack) as commands:
        for service in SERVICES:
            with suppress(xmlrpc.client.Fault):  # it is up already
                await asyncio.to_thread(commands.startProcess, service)
    async with asyncio.timeout(PATIENCE_SECONDS), httpx2.AsyncClient(timeout=2) as http:
        for service in SERVICES:
            while not await _ready(http, f"{stack.info[service]}/health/ready"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
    yield Side(
        "lanjie",
        stack.info["intake"],
        stack.info["bank_keys"]["ICBC"],
        f"{stack.info['notifier']}/v1/alerts/stream",
        stack.officer("SZ"),
        stack.info["databases"]["notifier"],
        "select coalesce(max(position), 0) from notifier.alert",
        "select count(*) from notifier.alert where position > $1",
        {service: psutil.Process(stack.pid(service)) for service in SERVICES} | _beneath(stack),
    )
    with supervisor(stack) as commands:
        for service in SERVICES:
            await asyncio.to_thread(commands.stopProcess, service)


async def _ready(http: httpx2.AsyncClient, url: str) -> bool:
    with suppress(httpx2.HTTPError):
        answer = await http.get(url)
        return answer.status_code == 200 and answer.json()["consumer"] == "ok"
    return False


@asynccontextmanager
async def floor_side(stack: Stack, *, one_way: bool = False) -> AsyncIterator[Side]:
    """Have the floor up, with empty tables, and stop it afterwards."""
    ports = {part: free_port() for part in ("intake", "rules", "notifier")}
    dsn = stack.info["databases"]["intake"]
    told = {
        **os.environ,
        "DATABASE_URL": dsn,
        "KAFKA_BOOTSTRAP_SERVERS": stack.info["kafka"],
        "KAFKA_REPLICAS": "1",
        "FLOOR_ONE_WAY": "1" if one_way else "",
    }
    words = [sys.executable, "-m", "tests.bench.floor"]
    subprocess.run([*words, "tables"], cwd=ROOT, env=told, check=True)  # noqa: ASYNC221 - nothing else runs yet
    started = {
        part: subprocess.Popen([*words, part], cwd=ROOT, env={**told, "PORT": str(port)})  # noqa: ASYNC220 - likewise
        for part, port in ports.items()
    }
    try:
        for part in ("intake", "notifier"):
            await _listening(ports[part])
        yield Side(
            "one-way floor" if one_way else "floor",
            f"http://{HOST}:{ports['intake']}",
            "none",
            f"http://{HOST}:{ports['notifier']}/",
            {},
            dsn,
            "select count(*) from floor.alert",
            "select count(*) - $1 from floor.alert",
            {part: psutil.Process(process.pid) for part, process in started.items()} | _beneath(stack),
        )
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def _beneath(stack: Stack) -> dict[str, psutil.Process]:
    return {part: psutil.Process(stack.pid(part)) for part in ("kafka", "postgres")}


async def _listening(port: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                return
            await asyncio.sleep(0.05)


def cpu_seconds(side: Side) -> dict[str, float]:
    """Return the processor time each part has used, PostgreSQL with its children."""
    used = {}
    for part, process in side.processes.items():
        times = [process.cpu_times()]
        for child in process.children(recursive=True):
            with suppress(psutil.Error):
                times.append(child.cpu_times())
        used[part] = sum(one.user + one.system for one in times)
    return used


def memory_mb(side: Side) -> dict[str, float]:
    """Return each service's resident memory."""
    return {part: side.processes[part].memory_info().rss / 2**20 for part in SERVICES}
