"""A real SMTP server (aiosmtpd) that keeps what it is given, and refuses as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.smtp import SMTP, Envelope

HOST = "127.0.0.1"


class MailServer:
    """Answers each mail's end by its script, one after the other; then 250 to every one. It keeps it in any case.

    `sender` and `recipient` are what it says to the two addresses, where one is to be refused.
    """

    def __init__(self, *script: str, sender: str = "", recipient: str = "") -> None:
        self._script = list(script)
        self._sender = sender
        self._recipient = recipient
        self._news = asyncio.Condition()
        self.mails: list[EmailMessage] = []
        self.url = ""

    async def received(self, number: int) -> list[EmailMessage]:
        """Wait until so many mails have come in; return them."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.mails) >= number)
        return self.mails[:number]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self,
        _server: object,
        _session: object,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if self._sender:
            return self._sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        _server: object,
        _session: object,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if self._recipient:
            return self._recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802
        async with self._news:
            assert isinstance(envelope.content, bytes)
            mail = message_from_bytes(envelope.content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self._news.notify_all()
        return self._script.pop(0) if self._script else "250 OK"


@asynccontextmanager
async def mail_server(*script: str, sender: str = "", recipient: str = "") -> AsyncIterator[MailServer]:
    """Run a mail server in this loop."""
    kept = MailServer(*script, sender=sender, recipient=recipient)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(kept, loop=loop, enable_SMTPUTF8=True), HOST, 0)
    kept.url = f"smtp://{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield kept
    finally:
        server.close()
        await server.wait_closed()
