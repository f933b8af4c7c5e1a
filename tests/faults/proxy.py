"""The network between two parts, as a line that delays, loses, cuts, and drops answers. It carries bytes in order."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

HOST: Final = "127.0.0.1"
PIECE_BYTES: Final = 65536
MOST_PIECES: Final = 256


class Way(Enum):
    """A direction, as seen by whoever dialled."""

    THERE = "there"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Weather:
    """How a line treats each piece of data, in seconds and probabilities.

    What is lost comes `stall` later, as TCP sends it again, and with it all that follows; one loss in `per_reset`
    takes the connection with it.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    stall: float = 1.0
    per_reset: int = 10


CALM: Final = Weather()

Watch = Callable[[bytes], bool]
"""Sees what a server says on one connection; returns whether this is to be dropped, and the connection with it."""


@dataclass(slots=True)
class Line:
    """A line to a server. `port` is where to dial; a closed way holds what is said until it is open again."""

    host: str
    far_port: int
    dice: random.Random
    watching: Callable[[], Watch] = lambda: lambda _piece: False
    weather: Weather = CALM
    port: int = 0
    carried: int = 0
    dropped: int = 0
    resets: int = 0
    _open: dict[Way, asyncio.Event] = field(default_factory=lambda: {way: asyncio.Event() for way in Way})
    _carrying: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.mend()

    def cut(self, *ways: Way) -> None:
        """Let nothing through that way; nobody is told."""
        for way in ways:
            self._open[way].clear()

    def mend(self) -> None:
        """Let everything through."""
        for way in Way:
            self._open[way].set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until one end hangs up."""
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        ends = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.far_port)
            ends.append(far_writer)
            watch = self.watching()
            ways = (
                self._pass_on(Way.THERE, reader, far_writer, lambda _piece: False),
                self._pass_on(Way.BACK, far_reader, writer, watch),
            )
            passing = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in passing:
                    one.cancel()
                await asyncio.gather(*passing, return_exceptions=True)
        except OSError:
            pass  # nobody listens there now; whoever dialled sees its connection end
        finally:
            self._carrying.discard(task)
            for end in ends:
                reset(end)

    async def hang_up(self) -> None:
        """End all connections."""
        tasks = list(self._carrying)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watch: Watch
    ) -> None:
        """Read ahead of what is delivered, so that a delay is a delay and no bound on how much is under way."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MOST_PIECES)
        delivering = asyncio.create_task(self._deliver(way, pieces, writer))
        try:
            while not delivering.done() and (piece := await reader.read(PIECE_BYTES)):
                self.carried += 1
                if watch(piece):
                    self.dropped += 1
                    return
                late = self._lateness()
                if late is None:
                    self.resets += 1
                    return
                await pieces.put((asyncio.get_running_loop().time() + late, piece))
            await pieces.put((0.0, b""))
            await delivering
        except OSError:
            pass
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)

    def _lateness(self) -> float | None:
        """Return how late the next piece is, in seconds, or None where it ends the connection."""
        weather = self.weather
        late = max(0.0, weather.delay + self.dice.uniform(-weather.jitter, weather.jitter))
        if self.dice.random() >= weather.loss:
            return late
        return None if self.dice.randrange(weather.per_reset) == 0 else late + weather.stall

    async def _deliver(
        self, way: Way, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while True:
                due, piece = await pieces.get()
                wait = due - asyncio.get_running_loop().time()
                if wait > 0:
                    await asyncio.sleep(wait)
                await self._open[way].wait()
                if not piece:
                    return
                writer.write(piece)
                await writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """Hang up with a reset, so that what was written last may be lost as well."""
    with suppress(OSError):
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def line_to(host: str, port: int, dice: random.Random) -> AsyncIterator[Line]:
    """Lay a line to where a server listens, or will listen."""
    line = Line(host, port, dice)
    server = await asyncio.start_server(line.carry, HOST, 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        await line.hang_up()
        await server.wait_closed()


@asynccontextmanager
async def line_to_database(dsn: str, dice: random.Random) -> AsyncIterator[tuple[Line, str]]:
    """Lay a line to a database; yield it with the address that goes through it."""
    parts = urlsplit(dsn)
    assert parts.hostname is not None
    assert parts.port is not None
    async with line_to(parts.hostname, parts.port, dice) as line:
        through = parts.netloc.rpartition("@")[0] + f"@{HOST}:{line.port}"
        yield line, parts._replace(netloc=through).geturl()


class CommitReplies:
    """Reads what PostgreSQL says on one connection, and has the news of some ended transactions dropped.

    `chosen` is asked at each transaction that has ended well, one statement's own included.
    """

    HEAD: Final = struct.Struct("!cI")

    def __init__(self, chosen: Callable[[str], bool]) -> None:
        self._chosen = chosen
        self._unread = b""
        self._began = False
        self._done = ""

    def __call__(self, piece: bytes) -> bool:
        """Return whether this piece brings news that is to be dropped."""
        self._unread += piece
        if not self._began:
            self._began = True
            if self._unread[:1] in (b"N", b"S"):  # the answer to "may we encrypt?" is a letter alone
                self._unread = self._unread[1:]
        drop = False
        while len(self._unread) >= self.HEAD.size:
            kind, length = self.HEAD.unpack_from(self._unread)
            if len(self._unread) < 1 + length:
                break
            body, self._unread = self._unread[self.HEAD.size : 1 + length], self._unread[1 + length :]
            drop |= self._ended(kind, body)
        return drop

    def _ended(self, kind: bytes, body: bytes) -> bool:
        match kind:
            case b"C":
                self._done = body.rstrip(b"\0").decode()
            case b"E":
                self._done = ""
            case b"Z" if body == b"I" and self._done:
                done, self._done = self._done, ""
                return self._chosen(done)
            case _:
                pass
        return False
