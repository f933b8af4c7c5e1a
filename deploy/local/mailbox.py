"""A mail server for a morning: it takes every mail it is offered, and keeps it. As much of SMTP as that needs."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Final

from deploy.local.config import HOST

LONGEST_MAIL_BYTES: Final = 2**20
END: Final = b"\r\n.\r\n"


async def receiving(port: int, keep: Callable[[EmailMessage], None]) -> asyncio.Server:
    """Begin to receive; `keep` is told each mail. Whoever calls closes the server."""
    return await asyncio.start_server(lambda r, w: _serve(r, w, keep), HOST, port, limit=LONGEST_MAIL_BYTES)


def links_in(mail: EmailMessage) -> list[str]:
    """Return the addresses in a mail's plain part."""
    plain = mail.get_body(("plain",))
    return re.findall(r"https?://\S+", plain.get_content()) if plain else []


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: Callable[[EmailMessage], None]
) -> None:
    with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        writer.write(b"220 a morning at the counters\r\n")
        while command := (await reader.readline()).strip().upper():
            if command == b"DATA":
                writer.write(b"354 go on\r\n")
                text = (await reader.readuntil(END)).removesuffix(END)
                mail = message_from_bytes(re.sub(rb"(?m)^\.\.", b".", text), policy=default)
                assert isinstance(mail, EmailMessage)
                keep(mail)
            writer.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")
            await writer.drain()
            if command == b"QUIT":
                break
    writer.close()
