"""The three services on an own database server and broker, each restarted as soon as it has ended."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2

from deploy.local.config import HOST, ROOT, SERVICES, free_port
from tests.faults.broker import own_broker
from tests.faults.database import own_server
from tests.parts import KEY_BYTES

READY_WITHIN_SECONDS: Final = 60.0
STOPPED_WITHIN_SECONDS: Final = 20.0


@dataclass(slots=True)
class Service:
    """One service and its lives. `last_step` is asked at each birth: at which step that life is to end, if at any."""

    name: str
    url: str
    notes: Path
    launcher: Process
    last_step: Callable[[], str] = str
    life: int = 0
    ended: list[int] = field(default_factory=list)

    async def relive(self) -> None:
        """Begin one life after the other."""
        assert self.launcher.stdin
        assert self.launcher.stdout
        while True:
            self.launcher.stdin.write(f"{self.last_step()}\n".encode())
            await self.launcher.stdin.drain()
            self.life = int(await self.launcher.stdout.readline())
            self.ended.append(int(await self.launcher.stdout.readline()))

    def kill(self) -> None:
        """End this life, whatever it is about."""
        with suppress(ProcessLookupError):
            os.kill(self.life, signal.SIGKILL)

    def steps(self) -> list[str]:
        """Return the steps that any life has reached, in the order in which they were first reached."""
        lines = self.notes.read_text(encoding="utf-8").splitlines()
        return [line for line in dict.fromkeys(lines) if not line.startswith("ended ")]

    def ended_at(self) -> set[str]:
        """Return the steps that a life has ended at."""
        lines = self.notes.read_text(encoding="utf-8").splitlines()
        return {line.removeprefix("ended ") for line in lines if line.startswith("ended ")}


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain: its services by name, the addresses of its databases and its broker."""

    services: Mapping[str, Service]
    databases: Mapping[str, str]
    broker: str

    async def ready(self) -> None:
        """Return when every service says that it is ready."""
        async with asyncio.timeout(READY_WITHIN_SECONDS), httpx2.AsyncClient(timeout=2) as http:
            for service in self.services.values():
                while not await _says_ready(http, service.url):  # noqa: ASYNC110 - other processes
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def grounds(folder: Path) -> AsyncIterator[tuple[dict[str, str], str]]:
    """Run what the services stand on; yield the addresses of their databases, and of the broker."""
    async with own_server(folder) as server, own_broker(folder / "kafka") as broker:
        yield {service: await server.clone(service) for service in SERVICES}, broker


@asynccontextmanager
async def chain(
    folder: Path, databases: Mapping[str, str], broker: str, told: Mapping[str, Mapping[str, str]] | None = None
) -> AsyncIterator[Chain]:
    """Run all three services. `told` adds to the environment of each, or replaces what is in it."""
    async with AsyncExitStack() as stack:
        services = {}
        for name, dsn in databases.items():
            environment = {"DATABASE_URL": dsn, "KAFKA_BOOTSTRAP_SERVERS": broker, **(told or {}).get(name, {})}
            services[name] = await stack.enter_async_context(_service(folder, name, environment))
        whole = Chain(services, databases, broker)
        await whole.ready()
        yield whole


@asynccontextmanager
async def _service(folder: Path, name: str, told: Mapping[str, str]) -> AsyncIterator[Service]:
    port, notes = free_port(), folder / f"{name}.steps"
    notes.touch()
    environment = {
        **os.environ,
        **told,
        "HOST": HOST,
        "PORT": str(port),
        "TOKEN_KEY": KEY_BYTES,
        "IDENTITY_KEYS": f"i1:{KEY_BYTES}",
        "NARRATIVE_KEYS": f"n1:{KEY_BYTES}",
        "ALLOWED_PRIVATE_HOSTS": HOST,
    }
    with (folder / f"{name}.log").open("wb") as log:
        words = (sys.executable, "-m", "tests.faults.crash", name, str(notes))
        process = await asyncio.create_subprocess_exec(
            *words, stdin=PIPE, stdout=PIPE, stderr=log, cwd=ROOT, env=environment
        )
    service = Service(name, f"http://{HOST}:{port}", notes, process)
    living = asyncio.create_task(service.relive())
    try:
        yield service
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOPPED_WITHIN_SECONDS)
        except TimeoutError:
            service.kill()
            process.kill()


async def _says_ready(http: httpx2.AsyncClient, url: str) -> bool:
    with suppress(httpx2.HTTPError):
        return (await http.get(f"{url}/health/ready")).status_code == httpx2.codes.OK
    return False


def dice_of(seed: int) -> random.Random:
    """Return the dice of a run."""
    return random.Random(seed)  # noqa: S311 - a test's dice
