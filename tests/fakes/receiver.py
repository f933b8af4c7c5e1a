"""An HTTP receiver that answers as it is told: a unit's own system at the other end of a webhook."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

HOST = "127.0.0.1"


class Fault(Enum):
    """What a receiver does instead of answering. It has read the request in any case."""

    HANG = "never answers"
    RESET = "resets the connection"
    LATE = "answers 200, half a second later"
    DRIP = "answers a letter at a time, and never to the end"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer with words in it."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def json_said(content: object, status: int = 200) -> Said:
    """What a chat robot or a gateway answers."""
    return Said(status, json.dumps(content).encode())


Answer = int | Fault | Said


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came in, when (seconds of this process's clock), and what it was answered."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = 0.0
    answer: Answer = 200

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads(self.body)


class Receiver:
    """Gives the answers of its script one after the other; then always the last word, 200 unless told otherwise."""

    def __init__(self, *script: Answer, last: Answer = 200) -> None:
        self._script = list(script)
        self._last = last
        self._news = asyncio.Condition()
        self._answering: set[asyncio.Task[None]] = set()
        self.requests: list[Request] = []
        self.url = ""

    async def received(self, number: int) -> list[Request]:
        """Wait until so many requests have come in; return them."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.requests) >= number)
        return self.requests[:number]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            while request := await _read(reader):
                answer = self._script.pop(0) if self._script else self._last
                async with self._news:
                    self.requests.append(replace(request, at=time.time(), answer=answer))
                    self._news.notify_all()
                match answer:
                    case Fault.HANG:
                        await asyncio.Event().wait()
                    case Fault.RESET:
                        _reset(writer)
                        return
                    case Fault.LATE:
                        await asyncio.sleep(0.5)
                        writer.write(self._head(Said()))
                        await writer.drain()
                    case Fault.DRIP:
                        await _drip(writer)
                    case int():
                        writer.write(self._head(Said(answer)))
                        await writer.drain()
                    case Said():
                        writer.write(self._head(answer) + answer.body)
                        await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # whoever posts may go away at any time; and asyncio complains of a connection's cancelled task
        finally:
            self._answering.discard(task)
            writer.close()

    def _head(self, said: Said) -> bytes:
        more = {"location": f"{self.url}elsewhere", "content-length": str(len(said.body)), **dict(said.headers)}
        lines = [f"HTTP/1.1 {said.status} .", *(f"{name}: {value}" for name, value in more.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@asynccontextmanager
async def receiving(*script: Answer, last: Answer = 200) -> AsyncIterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(*script, last=last)
    server = await asyncio.start_server(receiver._serve, HOST, 0)  # noqa: SLF001 - two halves of one thing
    receiver.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"
    try:
        yield receiver
    finally:
        server.close()
        for task in list(receiver._answering):  # noqa: SLF001
            task.cancel()
        await asyncio.gather(*receiver._answering, return_exceptions=True)  # noqa: SLF001
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    method, path, _ = first.split(" ")
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


async def _drip(writer: asyncio.StreamWriter) -> None:
    for letter in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 10_000:
        writer.write(bytes([letter]))
        await writer.drain()
        await asyncio.sleep(0.05)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
