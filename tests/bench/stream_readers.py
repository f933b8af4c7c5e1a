"""Screens that read an alert stream, as light as Python can make them: `python -m tests.bench.stream_readers`.

Says `ready` once all are connected; writes what each has read, and when, to a file when its input ends.
"""

import argparse
import asyncio
import json
import re
import socket
import sys
import time
from pathlib import Path
from typing import Final

import uvloop

from shared.access import OFFICER_TOKEN

FRAME: Final = re.compile(rb"id: (\d+)\n(event: alert\ndata: [^\n]*\n|: still here\n)?\n")
LEAVES_EVERY_SECONDS: Final = 2.0


def token_of(number: int) -> str:
    """Return the token of an officer of the benchmark."""
    return f"{OFFICER_TOKEN}bench-{number}"


def request(number: int, last: int | None = None) -> bytes:
    """Return the request that opens a stream."""
    head = f"GET /v1/alerts/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token_of(number)}\r\n"
    return (head + (f"Last-Event-ID: {last}\r\n" if last is not None else "") + "\r\n").encode()


class Screen(asyncio.Protocol):
    """One connection. `read` holds the position of each alert and when it was there as a whole.

    `last` is the id to come back with: the first one says where the stream began, before there is any alert.
    """

    def __init__(
        self, number: int, opened: asyncio.Semaphore, read: list[tuple[int, float]], last: int | None = None
    ) -> None:
        self._number = number
        self._opened = opened
        self._rest = b""
        self.read = read
        self.last = last
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.write(request(self._number, self.last))

    def data_received(self, data: bytes) -> None:
        at = time.time()
        if not self._rest and data.startswith(b"HTTP/1.1 200"):
            self._opened.release()
        text, end = self._rest + data, 0
        for found in FRAME.finditer(text):
            self.last = int(found[1])
            if (found[2] or b"").startswith(b"event"):
                self.read.append((self.last, at))
            end = found.end()
        self._rest = text[end:]


async def connect(
    port: int, number: int, opened: asyncio.Semaphore, read: list[tuple[int, float]], last: int | None = None
) -> Screen:
    """Open a screen."""
    _, screen = await asyncio.get_running_loop().create_connection(
        lambda: Screen(number, opened, read, last), "127.0.0.1", port
    )
    return screen


async def come_and_go(port: int, number: int, read: list[tuple[int, float]]) -> None:
    """Read, leave without a word, and come back for what came after the last alert read."""
    last: int | None = None
    while True:
        screen = await connect(port, number, asyncio.Semaphore(0), read, last)
        await asyncio.sleep(LEAVES_EVERY_SECONDS)
        assert screen.transport
        screen.transport.abort()
        last = screen.last


def stuck(port: int, number: int) -> socket.socket:
    """Open a stream and never read it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    connection.sendall(request(number))
    return connection


async def read_all(port: int, readers: int, *, hard: bool) -> str:
    """Read until the input ends; return what was read. `hard`: also one that reads nothing, one that comes and goes."""
    opened = asyncio.Semaphore(0)
    screens = [await connect(port, number, opened, []) for number in range(readers)]
    for _ in screens:
        await opened.acquire()
    extra = [stuck(port, readers)] if hard else []
    resumed: list[tuple[int, float]] = []
    going = asyncio.create_task(come_and_go(port, readers + 1, resumed)) if hard else None
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    if going:
        going.cancel()
    for connection in extra:
        connection.close()
    return json.dumps({"screens": [screen.read for screen in screens], "resumed": resumed})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("readers", type=int)
    parser.add_argument("result", type=Path)
    parser.add_argument("--hard", action="store_true")
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        asked.result.write_text(runner.run(read_all(asked.port, asked.readers, hard=asked.hard)))
