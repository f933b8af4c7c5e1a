"""Who else is at work in a chain of single services: the police, the payees' bank, a unit's own system."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg
import httpx2

from services.notifier import reference
from services.notifier.alerting.targets import new_secret
from tests.fakes.receiver import receiving
from tests.faults.checker import settled
from tests.faults.clients import NO_ANSWER
from tests.faults.journal import Journal
from tests.faults.lives import Chain
from tests.faults.orders import PAYEES_BANK, UNIT, Desk, officer, payees_bank
from tests.parts import IDENTITY, bank, officer_of

LOOK_EVERY_SECONDS: Final = 0.2
DRAINED_WITHIN_SECONDS: Final = 180.0


@asynccontextmanager
async def told_by_webhook(running: Chain) -> AsyncIterator[None]:
    """Have the alerts of the whole city delivered to a receiver."""
    async with receiving() as receiver:
        connection = await asyncpg.connect(running.databases["notifier"], server_settings={"search_path": "notifier"})
        await reference.add_webhook(connection, IDENTITY, "SZ", receiver.url, new_secret())
        await connection.close()
        yield


@asynccontextmanager
async def at_work(running: Chain, http: httpx2.AsyncClient, journal: Journal) -> AsyncIterator[None]:
    """Have the police and the payees' bank at work: take on, stop, answer, close."""
    police = Desk(http, running.services["notifier"].url, officer_of(UNIT), journal)
    payees = Desk(http, running.services["intake"].url, bank(PAYEES_BANK), journal)
    home = asyncio.Event()
    working = [asyncio.create_task(one) for one in (officer(police, home), _closing(police), payees_bank(payees))]
    try:
        yield
        home.set()
        await working[0]
        await settled(running.databases, DRAINED_WITHIN_SECONDS, deliveries=True)
    finally:
        for task in working:
            task.cancel()
        ended = await asyncio.gather(*working, return_exceptions=True)
    for end in ended:
        if isinstance(end, Exception):
            raise end


async def _closing(police: Desk) -> None:
    """Close what is taken on and has all its answers, until cancelled."""
    told = {"finding": "confirmed", "scam_type": "fake_loan", "reason": "已受案"}
    while True:
        with suppress(*NO_ANSWER):
            page = await police.ask("GET", "/v1/cases?status=acknowledged&limit=500")
            for case in page.json()["cases"]:
                orders = (await police.ask("GET", f"/v1/cases/{case['id']}")).json()["orders"]
                if orders and all(order["status"] != "pending" for order in orders):
                    await police.http.post(
                        f"{police.url}/v1/cases/{case['id']}/close", json=told, headers=police.headers
                    )
        await asyncio.sleep(LOOK_EVERY_SECONDS)
