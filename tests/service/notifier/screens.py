"""Screens that follow the alert stream over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from shared.postgres import Pool
from tests.parts import Door
from tests.service.notifier.police import CITY

Alert = tuple[int, dict[str, Any]]


class StreamEndedError(Exception):
    """The server ended the stream."""


class Ear:
    """Somebody who follows the stream. `last_id` is what a browser would send to take it up again."""

    def __init__(self, response: httpx2.Response) -> None:
        self._lines = response.aiter_lines()
        self.last_id = ""

    async def next(self, within: float = 5) -> Alert:
        """Wait for the next alert, at most so many seconds."""
        async with asyncio.timeout(within):
            while True:
                fields = await self.event()
                if fields.get("event") == "alert":
                    return int(fields["id"]), json.loads(fields["data"])

    async def opened(self) -> None:
        """Wait until the server has said from where it tells."""
        async with asyncio.timeout(5):
            while "retry" not in await self.event():
                pass

    async def event(self) -> dict[str, str]:
        """Wait for whatever comes next."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                self.last_id = fields.get("id", self.last_id)
                return fields
            name, _, value = line.partition(": ")
            fields[name] = value
        raise StreamEndedError


@asynccontextmanager
async def listening(door: Door, who: dict[str, str] = CITY, last_id: str = "") -> AsyncIterator[Ear]:
    headers = {**who, "Last-Event-ID": last_id} if last_id else who
    async with door.client.stream("GET", "/v1/alerts/stream", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        ear = Ear(response)
        await ear.opened()
        yield ear


async def post(pool: Pool, number: int = 1) -> list[int]:
    """Post the first alert anew, so many times in one go; return the positions. Its report counts nothing again."""
    rows = await pool.fetch(
        """
        insert into alert (id, case_id, report_id, unit, path, facts, created_at)
        select gen_random_uuid(), case_id, report_id, unit, path, facts, now()
        from (select * from alert order by position limit 1) a cross join generate_series(1, $1)
        returning position
        """,
        number,
    )
    return [row["position"] for row in rows]
