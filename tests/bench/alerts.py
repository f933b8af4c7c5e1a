"""`python -m tests.bench.alerts`: from an alert's commit to the receiver's reading of its webhook.

Steadily and in a burst, beside a bare HTTP client that posts the same bodies to the same receiver, which is a
process of its own. PostgreSQL is the embedded one: the figures are for comparing changes on one machine.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import uvloop
from rich.console import Console
from rich.table import Table

from services.notifier.alerting import alert_store
from services.notifier.alerting.alert_store import Alert
from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.channels.wires import wires_of
from services.notifier.alerting.delivery import Courier
from services.notifier.metrics import Metrics
from shared.outbox import new_id
from shared.postgres import Pool, open_pool
from tests.bench.measuring import percentile
from tests.parts import IDENTITY, TOKENS, database_server
from tests.service.notifier.builders import a_verdict, now, take
from tests.service.notifier.hooks import SECRET, settings, target

RATE = float(os.environ.get("RATE", "50"))
SECONDS = float(os.environ.get("SECONDS", "30"))
BURST = int(os.environ.get("BURST", "5000"))
AT_ONCE = 8


class Taking(asyncio.Protocol):
    """Reads requests as raw bytes and answers 200; `GET /taken` tells when each webhook-id was read."""

    taken: dict[str, float] = {}  # noqa: RUF012 - shared by all connections, on purpose

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, rest = self._buffer.split(b"\r\n\r\n", 1)
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            length = int(fields.get(b"content-length", b"0"))
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            said = b""
            if head.startswith(b"GET"):
                said = json.dumps(self.taken).encode()
                self.taken.clear()
            else:
                self.taken.setdefault(fields[b"webhook-id"].decode(), time.time())
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(said) + said)


async def receive() -> None:
    """Be the receiver until the parent goes."""
    server = await asyncio.get_running_loop().create_server(Taking, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def receiver() -> AsyncIterator[str]:
    """Run the receiver in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.alerts", "--receive"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert process.stdin and process.stdout  # noqa: PT018
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
    finally:
        process.stdin.close()
        process.wait(10)


def an_alert(case_id: UUID) -> Alert:
    """An alert of the usual size."""
    alert_id = new_id()
    facts = {
        "alert_id": str(alert_id),
        "case_id": str(case_id),
        "kind": "opened",
        "unit": "SZ-LH-CZ",
        "amount_fen": 9_800_000,
        "payer": {"name": "梁**", "account": "****1024", "bank_code": "ICBC"},
        "payee": {"name": "蒙**", "account": "****2026", "bank_code": "CCB"},
        "why": ["客户全程通话", "提到安全账户", "首次向该收款人转账"],
        "acknowledge_by": now().isoformat(),
        "link": f"/v1/cases/{case_id}",
    }
    return Alert(alert_id, case_id, None, "SZ-LH-CZ", "/SZ/SZ-LH/SZ-LH-CZ/", facts, now())


async def commit(pool: Pool, alerts: list[Alert]) -> float:
    """Put alerts into the stream in one transaction; return when that was done."""
    async with pool.acquire() as connection, connection.transaction():
        await alert_store.insert_alerts(connection, alerts)
    return time.time()


async def read(url: str, number: int) -> dict[str, float]:
    """Return when each of so many webhooks was read, once they all were."""
    found: dict[str, float] = {}
    async with httpx2.AsyncClient() as client, asyncio.timeout(120):
        while len(found) < number:
            found |= (await client.get(url + "taken")).json()
            await asyncio.sleep(0.2)
    return found


async def steady(pool: Pool, courier: Courier, url: str, case_id: UUID) -> list[float]:
    """Alert at a fixed rate; return how long each took, in seconds."""
    committed: dict[str, float] = {}
    began = asyncio.get_running_loop().time()
    for place in range(int(RATE * SECONDS)):
        await asyncio.sleep(max(began + place / RATE - asyncio.get_running_loop().time(), 0))
        alert = an_alert(case_id)
        committed[str(alert.id)] = await commit(pool, [alert])
        courier.hurry()
    when = await read(url, len(committed))
    return [when[alert_id] - at for alert_id, at in committed.items()]


async def burst(pool: Pool, courier: Courier, url: str, case_id: UUID) -> list[float]:
    """Alert many times in one transaction; return how long each took, in seconds."""
    alerts = [an_alert(case_id) for _ in range(BURST)]
    at = await commit(pool, alerts)
    courier.hurry()
    when = await read(url, BURST)
    return [one - at for one in when.values()]


async def bare(url: str, case_id: UUID) -> float:
    """Post as many bodies of the same kind with nothing but the HTTP client; return how many a second."""
    bodies = iter([an_alert(case_id) for _ in range(BURST)])
    began = time.monotonic()
    async with httpx2.AsyncClient() as client:

        async def post() -> None:
            for alert in bodies:
                body = json.dumps({"type": "lanjie.alert.v1", "timestamp": now().isoformat(), "data": alert.facts})
                await client.post(url, content=body, headers={"webhook-id": str(alert.id)})

        await asyncio.gather(*(post() for _ in range(AT_ONCE)))
    took = time.monotonic() - began
    await read(url, BURST)
    return BURST / took


async def measure(dsn: str) -> dict[str, Any]:
    """Measure it all on one database."""
    pool = await open_pool(dsn, "notifier", most=8)
    taken = await take(pool, a_verdict())
    case_id = taken.placed[0].case_id
    async with receiver() as url:
        await target(dsn, Channel.WEBHOOK, url, secret=SECRET)
        courier = Courier(pool, IDENTITY, TOKENS, Metrics(), wires_of(settings()))
        courier.open()
        slow = await steady(pool, courier, url, case_id)
        fast = await burst(pool, courier, url, case_id)
        await courier.close()
        plain = await bare(url, case_id)
    await pool.close()
    return {
        f"{RATE:g} a second: p50 ms": percentile(slow, 50) * 1000,
        f"{RATE:g} a second: p99 ms": percentile(slow, 99) * 1000,
        f"burst of {BURST}: p50 ms": percentile(fast, 50) * 1000,
        f"burst of {BURST}: p99 ms": percentile(fast, 99) * 1000,
        f"burst of {BURST}: last after ms": max(fast) * 1000,
        "burst: alerts a second": BURST / max(fast),
        "bare HTTP client: posts a second": plain,
        "ours to bare": BURST / max(fast) / plain,
    }


def main() -> None:
    """Start a database, measure, print."""
    if "--receive" in sys.argv:
        asyncio.run(receive())
        return
    with tempfile.TemporaryDirectory() as folder, database_server(Path(folder)) as server:

        async def work() -> dict[str, Any]:
            await server.make_templates()
            return await measure(await server.clone("notifier"))

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the services run
            result = runner.run(work())
    table = Table("figure", "value", title="From an alert's commit to the receiver's reading of its webhook")
    for name, value in result.items():
        table.add_row(name, f"{value:,.2f}")
    Console(highlight=False, width=110).print(table)
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
