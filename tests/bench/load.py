"""The load: reports over raw connections, so that the client takes as little of the machine as Python can."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from services.intake.identity import CHECK_CHARACTERS, WEIGHTS
from tests.parts import a_report

ACCOUNTS = 997
CUSTOMERS = 100_000
"""A customer comes twice in a long run: nobody stands at the counter at each report."""
AMOUNTS = (5_000_000, 15_000_000)
OPEN_CONNECTIONS = 64


@dataclass(slots=True)
class Load:
    """What was posted: when each report went out, by its id, and how long each answer took (seconds)."""

    posted: dict[str, float] = field(default_factory=dict)
    answers: list[float] = field(default_factory=list)


def bodies(number: int) -> list[dict[str, Any]]:
    """Return reports at alert level, each with its `idempotency_key`: a customer each, accounts that come often."""
    run = uuid.uuid4().hex[:8]
    dice = random.Random(run)  # noqa: S311 - a load's dice
    made = []
    for place in range(number):
        body = a_report(
            observed_at=datetime.now(UTC).isoformat(),
            bank_reference=f"{run}-{place}",
            transfer__amount_fen=dice.randrange(*AMOUNTS),
            payee__account=f"62170000000000{place % ACCOUNTS:04d}",
        )
        body["payer"] |= _customer(dice.randrange(CUSTOMERS))
        made.append({"idempotency_key": f"{run}-{place}", **body})
    return made


def _customer(number: int) -> dict[str, str]:
    """Return the same account and resident identity number for the same customer: born in 1950 to 1989."""
    digits = f"440301{1950 + number % 40}{number // 40 % 12 + 1:02d}{number // 480 % 28 + 1:02d}{number // 13_440:03d}"
    total = sum(int(digit) * weight for digit, weight in zip(digits, WEIGHTS, strict=False))
    return {"account": f"6222020000000{number:06d}", "id_number": digits + CHECK_CHARACTERS[total % 11]}


def requests(number: int, url: str, key: str) -> list[bytes]:
    """Return single posts, made before the clock runs."""
    made = []
    for body in bodies(number):
        own = body.pop("idempotency_key")
        made.append(_request("/v1/reports", url, key, "application/json", _json(body), f"Idempotency-Key: {own}\r\n"))
    return made


def batches(number: int, together: int, url: str, key: str) -> list[bytes]:
    """Return batch posts of so many reports each."""
    lines = [_json(body) for body in bodies(number)]
    pages = [b"\n".join(lines[at : at + together]) for at in range(0, number, together)]
    return [_request("/v1/reports/batch", url, key, "application/x-ndjson", page) for page in pages]


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _request(path: str, url: str, key: str, kind: str, body: bytes, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def saturate(url: str, made: Sequence[bytes], connections: int) -> Load:
    """Post as fast as answers come back, over so many connections."""
    load = Load()
    parts = urlsplit(url)
    todo = iter(made)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for request in todo:
            await _post(reader, writer, request, load, time.time())
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(connection() for _ in range(connections)))
    return load


async def steady(url: str, made: Sequence[bytes], per_second: float) -> Load:
    """Post at a fixed rate whatever the answers take (an open loop): each is timed from when it was due."""
    load = Load()
    parts = urlsplit(url)
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(OPEN_CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(parts.hostname, parts.port))

    async def one(request: bytes, due: float) -> None:
        connection = await free.get()
        await _post(*connection, request, load, due)
        free.put_nowait(connection)

    began, tasks = time.time(), []
    for place, request in enumerate(made):
        due = began + place / per_second
        if (early := due - time.time()) > 0:
            await asyncio.sleep(early)
        tasks.append(asyncio.create_task(one(request, due)))
    await asyncio.gather(*tasks)
    while not free.empty():
        free.get_nowait()[1].close()
    return load


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, load: Load, began: float
) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.1 202", b"HTTP/1.1 200")):
        raise AssertionError(head.decode())
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    answer = await reader.readexactly(length)
    load.answers.append(time.time() - began)
    for line in answer.splitlines():  # a single post answers one line, a batch one for each report
        said = json.loads(line)
        if said.get("code", 202) >= 400:
            raise AssertionError(line.decode())
        load.posted[said["id"]] = began
