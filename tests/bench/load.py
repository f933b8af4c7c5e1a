"""The load: reports over raw connections, so that the client takes as little of the machine as Python can."""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from tests.parts import a_report

ACCOUNTS = 997


@dataclass(slots=True)
class Load:
    """What was posted: when each report went out, by its id, and how long each answer took (seconds)."""

    posted: dict[str, float] = field(default_factory=dict)
    answers: list[float] = field(default_factory=list)


def requests(number: int, host: str, key: str) -> Iterator[bytes]:
    """Yield requests for reports at alert level, to accounts that come back now and then."""
    run = uuid.uuid4().hex[:8]
    base = a_report(observed_at=datetime.now(UTC).isoformat())
    lines = ["POST /v1/reports HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {key}"]
    head = "\r\n".join([*lines, "Content-Type: application/json", ""])
    for place in range(number):
        base["bank_reference"] = f"{run}-{place}"
        base["payee"]["account"] = f"6217{int(run, 16):010d}{place % ACCOUNTS:04d}"
        body = json.dumps(base, ensure_ascii=False).encode()
        yield f"{head}Idempotency-Key: {run}-{place}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def saturate(url: str, key: str, number: int, connections: int) -> Load:
    """Post as fast as answers come back, over so many connections."""
    load = Load()
    parts = urlsplit(url)
    todo = requests(number, parts.netloc, key)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for request in todo:
            await _post(reader, writer, request, load)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(connection() for _ in range(connections)))
    return load


async def steady(url: str, key: str, per_second: float, seconds: float) -> Load:
    """Post at a fixed rate whatever the answers take (an open loop): each is timed from when it was due."""
    load = Load()
    parts = urlsplit(url)
    number = int(per_second * seconds)
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(16):
        free.put_nowait(await asyncio.open_connection(parts.hostname, parts.port))

    async def one(request: bytes, due: float) -> None:
        connection = await free.get()
        await _post(*connection, request, load, due)
        free.put_nowait(connection)

    began, tasks = time.time(), []
    for place, request in enumerate(requests(number, parts.netloc, key)):
        due = began + place / per_second
        await asyncio.sleep(max(0.0, due - time.time()))
        tasks.append(asyncio.create_task(one(request, due)))
    await asyncio.gather(*tasks)
    while not free.empty():
        free.get_nowait()[1].close()
    return load


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, load: Load, due: float | None = None
) -> None:
    began = time.time() if due is None else due
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 202"):
        raise AssertionError(head.decode())
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    answer: dict[str, Any] = json.loads(await reader.readexactly(length))
    load.posted[answer["id"]] = began
    load.answers.append(time.time() - began)
