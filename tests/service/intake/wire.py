"""The network's edge: bytes over a socket, and a line to the database that can be cut."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.parts import Door, a_key, a_report, bank


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over a socket."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection to a door, written and read byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        with suppress(ConnectionError):  # a door that has refused may have hung up
            await self._writer.drain()

    async def answer(self) -> Answer:
        """Read one answer, of a known length."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._reader.readexactly(int(headers["content-length"]))
        return Answer(int(first.split(" ")[1]), headers, body)

    async def hung_up(self) -> bool:
        """Wait until the door hangs up, and return whether it did so without another word."""
        try:
            return await self._reader.read() == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def wired(door: Door) -> AsyncIterator[Wire]:
    """Open a connection to a door."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        async with asyncio.timeout(5):
            yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def head(method: str = "POST", path: str = "/v1/reports", **headers: Any) -> bytes:  # noqa: ANN401
    """Write a request's head; `_` in a header's name stands for `-`, and a list repeats the header."""
    lines = [f"{method} {path} HTTP/1.1", "host: door"]
    for name, value in headers.items():
        values = value if isinstance(value, list) else [value]
        lines += [f"{name.replace('_', '-')}: {one}" for one in values]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def report_head(**more: object) -> bytes:
    """Write the head of a bank's report."""
    return head("POST", "/v1/reports", **bank(**{"Idempotency-Key": a_key()}), **more)


def report_body() -> bytes:
    """Write the body of a report that is accepted."""
    return json.dumps(a_report()).encode()


def refused(answer: Answer, status: int) -> None:
    """Hold that an answer is a refusal after which the door hangs up."""
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.body)["status"] == status


@dataclass(slots=True)
class Line:
    """A line to a database. While it is cut nobody gets through, and whoever was talking is cut off."""

    host: str
    port: int
    is_cut: bool = False
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        self.is_cut = True
        for end in self._ends:
            end.transport.abort()

    def mend(self) -> None:
        self.is_cut = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        ends = {writer, far_writer}
        self._ends |= ends
        try:
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        finally:
            self._ends -= ends


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def line_to(dsn: str) -> AsyncIterator[tuple[Line, str]]:
    """Lay a line to a database; return it with the DSN that goes through it."""
    parts = urlsplit(dsn)
    assert parts.hostname is not None
    assert parts.port is not None
    line = Line(parts.hostname, parts.port)
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = parts.netloc.rpartition("@")[0] + f"@127.0.0.1:{port}"
    try:
        yield line, parts._replace(netloc=address).geturl()
    finally:
        line.cut()
        server.close()
        await server.wait_closed()
