"""The police's ears while a morning is played: the alert stream, and a webhook receiver as a unit would run it."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx2
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from deploy.local.config import HOST
from services.notifier import reference
from shared.privacy import Seal
from shared.settings import read_keys

PATIENCE_SECONDS: Final = 10.0


@dataclass(slots=True)
class Ears:
    """What arrives at the police: alerts on the stream, and the same as signed webhooks."""

    streamed: dict[str, tuple[float, dict[str, Any]]] = field(default_factory=dict)
    hooked: dict[str, float] = field(default_factory=dict)
    forged: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def listening(
    info: dict[str, Any], environment: dict[str, str], client: httpx2.AsyncClient, ears: Ears
) -> AsyncIterator[None]:
    """Follow the stream as the city's officer, and receive the same alerts as webhooks, for a while."""
    secret = "whsec_" + secrets.token_urlsafe(24).replace("-", "A").replace("_", "B")
    server = await asyncio.start_server(lambda r, w: _receive(r, w, secret, ears), HOST, 0)
    url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}/alerts"
    connection = await asyncpg.connect(environment["DATABASE_URL"], server_settings={"search_path": "notifier"})
    identity = Seal(read_keys(environment["IDENTITY_KEYS"]))
    top = next(one for one in info["officers"] if one["unit"] == "SZ" and one["role"] == "officer")
    hook: UUID = await reference.add_webhook(connection, identity, "SZ", url, secret)
    ready = asyncio.Event()
    following = asyncio.create_task(_follow(client, info["notifier"], top["token"], ears, ready))
    try:
        await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
        yield
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await reference.remove_webhook(connection, hook)
        await connection.close()
        server.close()


async def _follow(client: httpx2.AsyncClient, url: str, token: str, ears: Ears, ready: asyncio.Event) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with client.stream("GET", f"{url}/v1/alerts/stream", headers=headers, timeout=None) as response:
        ready.set()
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                facts = json.loads(line.removeprefix("data: "))
                ears.streamed[facts["report_id"]] = (time.monotonic(), facts)
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
        except WebhookVerificationError:
            ears.forged += 1
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
