"""What a database does to us passes by itself, and must not look like a fault of what we were doing."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.postgres import TRANSIENT, open_pool

LAST_WORDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"


class Line:
    """A line to the database, on which the server can be made to say its last words without hanging up."""

    def __init__(self) -> None:
        self._clients: list[asyncio.StreamWriter] = []
        self.carrying: set[asyncio.Task[None]] = set()

    def say_last_words_to_the_first(self) -> None:
        self._clients[0].write(b"E" + struct.pack("!I", len(LAST_WORDS) + 4) + LAST_WORDS)

    async def carry(self, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, port)
        self._clients.append(writer)
        for way in ((reader, far_writer), (far_reader, writer)):
            self.carrying.add(asyncio.create_task(pass_on(*way)))


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


@asynccontextmanager
async def line_to(dsn: str) -> AsyncIterator[tuple[Line, str]]:
    parts = urlsplit(dsn)
    host, port, line = str(parts.hostname), int(parts.port or 0), Line()
    server = await asyncio.start_server(lambda r, w: line.carry(host, port, r, w), "127.0.0.1", 0)
    address = parts.netloc.rpartition("@")[0] + f"@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line, parts._replace(netloc=address).geturl()
    finally:
        server.close()
        await asyncio.gather(*line.carrying, return_exceptions=True)


async def test_a_connection_that_was_ended_while_idle_fails_for_a_passing_reason(
    database: Callable[[str], Awaitable[str]],
) -> None:
    async with line_to(await database("intake")) as (line, dsn):
        ended, other = [await asyncpg.connect(dsn) for _ in range(2)]
        line.say_last_words_to_the_first()
        await other.fetchval("select 1")  # what was said before the answer to this has been read
        with pytest.raises(TRANSIENT):
            await ended.fetchval("select 1")
        ended.terminate()
        await other.close()


async def test_a_wrong_statement_is_no_passing_reason(database: Callable[[str], Awaitable[str]]) -> None:
    pool = await open_pool(await database("intake"), "intake", most=2)
    with pytest.raises(Exception, match="nowhere") as met:
        await pool.fetchval("select 1 from nowhere")
    await pool.close()
    assert not isinstance(met.value, TRANSIENT)
