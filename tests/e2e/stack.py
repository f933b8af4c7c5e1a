"""A local run as a subprocess, and what a test does with it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import psutil
from supervisor.xmlrpc import SupervisorTransport

from deploy.local.config import APACHE_PORTS, DEFAULT_PORTS, HOST, OPS_PORTS, ROOT, free_port
from shared.postgres import RawConnection

FREE_PORTS = {f"LANJIE_{part.upper()}_PORT": "0" for part in (*DEFAULT_PORTS, *APACHE_PORTS, *OPS_PORTS)}


def start(folder: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start the local run the way `make run` does."""
    told = {
        **os.environ,
        **FREE_PORTS,
        "LANJIE_RUN_DIR": str(folder),
        "DEMO": "0",
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.local.run"],
        cwd=ROOT,
        env=told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@dataclass(frozen=True, slots=True)
class Stack:
    """A run that is ready."""

    folder: Path
    info: dict[str, Any]
    process: "subprocess.Popen[str]"

    def pid(self, part: str) -> int:
        """Return the process id of a part; 0 while it is down."""
        with self._supervisor() as supervisor:
            return int(supervisor.getProcessInfo(part)["pid"])

    def stop(self, part: str) -> int:
        """Tell a part to end, and wait for it; return its exit code."""
        with self._supervisor() as supervisor:
            supervisor.stopProcess(part)
            return int(supervisor.getProcessInfo(part)["exitstatus"])

    def start(self, part: str) -> None:
        """Start a part that was stopped; it is not ready yet."""
        with self._supervisor() as supervisor:
            supervisor.startProcess(part, False)  # noqa: FBT003 - the protocol knows no names

    @contextmanager
    def _supervisor(self) -> Iterator[Any]:
        transport = SupervisorTransport(None, None, f"unix://{self.folder}/supervisor.sock")
        try:
            yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
        finally:
            transport.close()

    def kill(self, part: str) -> None:
        """`kill -9` a part; the supervisor will start it again."""
        if pid := self.pid(part):
            os.kill(pid, signal.SIGKILL)

    def environment(self, part: str) -> dict[str, str]:
        """Return what a part that is up was told."""
        told: dict[str, str] = psutil.Process(self.pid(part)).environ()
        return told

    async def lanjie(self, *words: str, part: str = "rules") -> str:
        """Run the `lanjie` command on the database of a part; return what it said. It must end well."""
        told = {**self.environment(part), "TOKEN_KEY": self.environment("intake")["TOKEN_KEY"]}
        command = Path(sys.executable).parent / "lanjie"
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            command, *words, cwd=ROOT, env=told, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode()

    @asynccontextmanager
    async def database(self, service: str) -> AsyncIterator[RawConnection]:
        """Connect to a service's database."""
        connection = await asyncpg.connect(self.info["databases"][service], server_settings={"search_path": service})
        try:
            yield connection
        finally:
            await connection.close()

    def bank(self, code: str = "ICBC", **more: str) -> dict[str, str]:
        """Headers of a bank."""
        return {"Authorization": f"Bearer {self.info['bank_keys'][code]}", **more}

    def officer(self, unit: str, role: str = "officer") -> dict[str, str]:
        """Headers of an officer of a unit."""
        who = next(one for one in self.info["officers"] if one["unit"] == unit and one["role"] == role)
        return {"Authorization": f"Bearer {who['token']}"}


@contextmanager
def running_stack(folder: Path, **environment: str) -> Iterator[Stack]:
    """Start a run in a folder, wait until it is ready, stop it at the end."""
    process = start(folder, **environment)
    try:
        deadline = time.monotonic() + 180
        while not (folder / "lanjie.json").exists():
            assert process.poll() is None, process.stdout.read() if process.stdout else ""
            assert time.monotonic() < deadline, "the run did not become ready"
            time.sleep(0.05)
        yield Stack(folder, json.loads((folder / "lanjie.json").read_text(encoding="utf-8")), process)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@asynccontextmanager
async def one_more(stack: Stack, part: str) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """Run a second replica of a part; yield its process when both have their share of the work."""
    port = str(free_port())
    told = {**stack.environment(part), "PORT": port}
    with (stack.folder / "logs" / f"{part}-2.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - over in a moment
            [sys.executable, "-m", f"services.{part}"],
            cwd=ROOT,
            env=told,
            stdout=log,
            stderr=log,
            start_new_session=True,  # the kernel shares processors out by session, and ours is busy
        )
        try:
            async with asyncio.timeout(30), httpx2.AsyncClient(timeout=2) as client:
                for url in (f"http://{HOST}:{port}", stack.info[part]):
                    while not await _works(client, url):
                        assert process.poll() is None, f"the second {part} ended"
                        await asyncio.sleep(0.05)
            yield process
        finally:
            process.terminate()
            process.wait(20)


async def _works(client: httpx2.AsyncClient, url: str) -> bool:
    with suppress(httpx2.HTTPError):
        answer = await client.get(f"{url}/health/ready")
        return answer.status_code == 200 and answer.json()["consumer"] == "ok"
    return False


@asynccontextmanager
async def alerts(stack: Stack, unit: str, **headers: str) -> AsyncIterator["AlertFeed"]:
    """Follow the alert stream as an officer of a unit."""
    async with (
        httpx2.AsyncClient(timeout=30) as client,
        client.stream(
            "GET", f"{stack.info['notifier']}/v1/alerts/stream", headers={**stack.officer(unit), **headers}
        ) as response,
    ):
        assert response.status_code == 200
        feed = AlertFeed(response.aiter_lines())
        await feed.opened()
        yield feed


class AlertFeed:
    """Alerts as they come in."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def opened(self) -> None:
        """Return once the stream has said where it begins."""
        async for line in self._lines:
            if line.startswith("id: "):
                return

    async def of_report(self, report_id: str) -> dict[str, Any]:
        """Return the alert of a report, passing over others."""
        async for line in self._lines:
            if line.startswith("data: "):
                facts: dict[str, Any] = json.loads(line.removeprefix("data: "))
                if facts["report_id"] == report_id:
                    return facts
        raise AssertionError("the stream ended without the alert")

    async def of_case(self, case_id: str, kind: str) -> dict[str, Any]:
        """Return what is told of a case as a whole, passing over the rest."""
        async for line in self._lines:
            if line.startswith("data: "):
                facts: dict[str, Any] = json.loads(line.removeprefix("data: "))
                if (facts["case_id"], facts["kind"]) == (case_id, kind):
                    return facts
        raise AssertionError("the stream ended without it")
