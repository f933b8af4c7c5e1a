"""An SMS centre that speaks SMPP 3.4 over TCP, as far as a transmitter needs; its own code, not the client's."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum

HOST = "127.0.0.1"
HEADER = struct.Struct(">LLLL")


class Command(IntEnum):
    """The PDUs a transmitter sends; an answer's is the same with the highest bit set."""

    BIND_TRANSMITTER = 0x00000002
    SUBMIT_SM = 0x00000004
    UNBIND = 0x00000006
    ENQUIRE_LINK = 0x00000015


ANSWER = 0x80000000


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a short message as it came in."""

    to: str
    coding: int
    esm_class: int
    text: bytes

    @property
    def words(self) -> str:
        """The text without the header that joins parts."""
        body = self.text[self.text[0] + 1 :] if self.esm_class & 0x40 else self.text
        return body.decode("utf-16-be")


class SmsCentre:
    """Answers submissions by its script of statuses, one after the other; then 0 to every one.

    A `chatty` one answers its first submission with questions whether we are there, and never to the end.
    """

    def __init__(self, *script: int, bind: int = 0, chatty: bool = False) -> None:
        self._script = list(script)
        self._bind = bind
        self._chatty = chatty
        self.parts: list[Part] = []
        self.bound_as: list[tuple[str, str]] = []
        self.unbound = 0
        self.url = ""

    def _status(self, command: int, body: bytes) -> int:
        match command:
            case Command.BIND_TRANSMITTER:
                system_id, password, _ = body.split(b"\0", 2)
                self.bound_as.append((system_id.decode(), password.decode()))
                return self._bind
            case Command.SUBMIT_SM:
                self.parts.append(_part(body))
                return self._script.pop(0) if self._script else 0
            case _:
                self.unbound += command == Command.UNBIND
                return 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it goes."""
        try:
            while True:
                length, command, _, sequence = HEADER.unpack(await reader.readexactly(HEADER.size))
                body = await reader.readexactly(length - HEADER.size)
                if command & ANSWER:
                    continue
                if command == Command.SUBMIT_SM:  # a centre may ask in between whether we are there
                    writer.write(HEADER.pack(16, Command.ENQUIRE_LINK, 0, 77))
                if command == Command.SUBMIT_SM and self._chatty:
                    self._chatty = False
                    await _chat(writer)
                said = b"id\0" if command != Command.UNBIND else b""
                status = self._status(command, body)
                writer.write(HEADER.pack(16 + len(said), command | ANSWER, status, sequence) + said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it has gone
        finally:
            writer.close()


@asynccontextmanager
async def sms_centre(*script: int, bind: int = 0, chatty: bool = False) -> AsyncIterator[SmsCentre]:
    """Run an SMS centre."""
    centre = SmsCentre(*script, bind=bind, chatty=chatty)
    server = await asyncio.start_server(centre.serve, HOST, 0)
    centre.url = f"smpp://lanjie:word@{HOST}:{server.sockets[0].getsockname()[1]}/10690"
    try:
        yield centre
    finally:
        server.close()
        await server.wait_closed()


async def _chat(writer: asyncio.StreamWriter) -> None:
    for sequence in range(100, 400):  # fifteen seconds of it
        writer.write(HEADER.pack(16, Command.ENQUIRE_LINK, 0, sequence))
        await writer.drain()
        await asyncio.sleep(0.05)


def _part(body: bytes) -> Part:
    """Read submit_sm: service type, source, destination, then single octets and the text."""
    _, rest = body.split(b"\0", 1)
    _, rest = rest[2:].split(b"\0", 1)
    to, rest = rest[2:].split(b"\0", 1)
    esm_class = rest[0]
    _, rest = rest[3:].split(b"\0", 1)  # when to deliver
    _, rest = rest.split(b"\0", 1)  # until when
    coding, length = rest[2], rest[4]
    return Part(to.decode(), coding, esm_class, rest[5 : 5 + length])
