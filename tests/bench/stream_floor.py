"""The least a stream can cost: whatever comes on one port goes out to all who are connected to the other, unread.

`python -m tests.bench.stream_floor PORT FEED_PORT`. No database, no access, no filter, no one who is too slow.
"""

import asyncio
import sys

import uvloop

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Listener(asyncio.Protocol):
    """One who is connected."""

    def __init__(self, all_of_them: set[asyncio.WriteTransport]) -> None:
        self._all = all_of_them

    def connection_made(self, transport: asyncio.WriteTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert data.endswith(b"\r\n\r\n")
        self._transport.write(HEAD)
        self._all.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended
        self._all.discard(self._transport)


class Feed(asyncio.Protocol):
    """Whoever has news."""

    def __init__(self, listeners: set[asyncio.WriteTransport]) -> None:
        self._listeners = listeners

    def data_received(self, data: bytes) -> None:
        chunk = b"%x\r\n%b\r\n" % (len(data), data)
        for listener in self._listeners:
            listener.write(chunk)


async def main(port: int, feed_port: int) -> None:
    """Serve until killed."""
    listeners: set[asyncio.WriteTransport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Listener(listeners), "127.0.0.1", port, backlog=1024)
    await loop.create_server(lambda: Feed(listeners), "127.0.0.1", feed_port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2])))
