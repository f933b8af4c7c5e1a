"""A second replica of a service, started and ended as a fault test wants it: politely or not."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from deploy.local.config import HOST, ROOT, free_port
from tests.e2e.stack import Stack

PATIENCE_SECONDS: Final = 120.0
STOP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica beside the one under the supervisor."""

    process: "subprocess.Popen[bytes]"
    url: str

    async def ready(self) -> None:
        """Return once it is in its group and has its share of the work."""
        async with asyncio.timeout(PATIENCE_SECONDS), httpx2.AsyncClient(timeout=2) as http:
            while not await _works(http, self.url):
                assert self.process.poll() is None, "a replica ended by itself"
                await asyncio.sleep(0.1)

    async def end(self, *, politely: bool) -> None:
        """Ask it to stop, or `kill -9` it; return when it is gone."""
        if politely:
            self.process.terminate()
        else:
            self.process.kill()
        await asyncio.to_thread(self.process.wait, STOP_SECONDS)


def replica(stack: Stack, part: str, told: Mapping[str, str], *, port: int = 0, **more: str) -> Replica:
    """Start a replica of a part that is told what `told` says, on a port of its own.

    Its name in its group is made of its port, or is what INSTANCE_ID says.
    """
    port = port or free_port()
    with (stack.folder / "logs" / f"{part}-2.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{part}"],
            cwd=ROOT,
            env={**told, "PORT": str(port), **more},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Replica(process, f"http://{HOST}:{port}")


async def _works(http: httpx2.AsyncClient, url: str) -> bool:
    with suppress(httpx2.HTTPError):
        answer = await http.get(f"{url}/health/ready")
        state: dict[str, Any] = answer.json()
        return answer.status_code == 200 and state["consumer"] == "ok"
    return False
