"""The police's ears while a morning is played: the alert stream, a unit's webhook receiver, officers' mail."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Final

import httpx2
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from deploy.local.arrangements import arranged
from deploy.local.config import HOST
from deploy.local.mailbox import receiving

PATIENCE_SECONDS: Final = 10.0


@dataclass(slots=True)
class Ears:
    """What arrives at the police: alerts on the stream, the same as signed webhooks, and as mails to officers."""

    streamed: dict[str, tuple[float, dict[str, Any]]] = field(default_factory=dict)
    hooked: dict[str, float] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    forged: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def told(self, wanted: Callable[[dict[str, Any]], bool]) -> tuple[float, dict[str, Any]]:
        """Wait for an alert on the stream; return when it came, and what it says."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self.news.clear()
                for at, facts in self.streamed.values():
                    if wanted(facts):
                        return at, facts
                await self.news.wait()

    async def mailed(self, address: str, alert_id: str) -> EmailMessage:
        """Wait for the mail that brings an alert to an address."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self.news.clear()
                for mail in self.mails:
                    if mail["To"] == address and alert_id in mail["X-Lanjie-Messages"]:
                        return mail
                await self.news.wait()

    async def caught_up(self) -> None:
        """Wait until the webhooks have brought what the stream has told, but not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self.streamed.keys() - self.hooked.keys():
                    self.news.clear()
                    await self.news.wait()

    def keep(self, mail: EmailMessage) -> None:
        """Keep a mail that came in."""
        self.mails.append(mail)
        self.news.set()


@asynccontextmanager
async def listening(
    info: dict[str, Any], environment: dict[str, str], client: httpx2.AsyncClient, hurry: dict[str, Any]
) -> AsyncIterator[Ears]:
    """Follow the stream as the city's officer, and receive the same alerts as webhooks and mails, for a while."""
    ears = Ears()
    secret = "whsec_" + secrets.token_urlsafe(24).replace("-", "A").replace("_", "B")
    hooks = await asyncio.start_server(lambda r, w: _receive(r, w, secret, ears), HOST, 0)
    mails = await receiving(info["mail_port"], ears.keep)
    url = f"http://{HOST}:{hooks.sockets[0].getsockname()[1]}/alerts"
    top = next(one for one in info["officers"] if one["unit"] == "SZ" and one["role"] == "officer")
    ready = asyncio.Event()
    following = asyncio.create_task(_follow(client, info["notifier"], top["token"], ears, ready))
    try:
        await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
        async with arranged(info, environment, (url, secret), hurry):
            yield ears
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        hooks.close()
        mails.close()


async def _follow(client: httpx2.AsyncClient, url: str, token: str, ears: Ears, ready: asyncio.Event) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with client.stream("GET", f"{url}/v1/alerts/stream", headers=headers, timeout=None) as response:
        ready.set()
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                facts = json.loads(line.removeprefix("data: "))
                ears.streamed[facts["alert_id"]] = (time.monotonic(), facts)
                ears.news.set()


async def _receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secret: str, ears: Ears) -> None:
    """Receive one webhook as a police system would: check the signature, then answer."""
    with suppress(OSError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers["content-length"]))
        try:
            Webhook(secret).verify(body.decode(), headers)
            ears.hooked[headers["webhook-id"]] = time.monotonic()
            ears.news.set()
        except WebhookVerificationError:
            ears.forged += 1
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
