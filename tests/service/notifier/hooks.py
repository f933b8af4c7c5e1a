"""Webhooks of units, and couriers that deliver to them quickly."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from services.notifier import alert_store, reference
from services.notifier.delivery import Courier, Pace
from services.notifier.metrics import Metrics
from shared.postgres import Pool
from tests.fakes.receiver import Receiver
from tests.parts import IDENTITY
from tests.service.notifier.builders import a_verdict, an_account, connected, take, until

SECRET = "whsec_dGhlIHNlY3JldCBvZiBhIHN0YXRpb24="
QUICK = Pace(look_every=0.01, timeout=0.25, first_wait=0.01, longest_wait=0.02)


async def add(dsn: str, unit: str, receiver: Receiver, path: str = "alerts") -> UUID:
    """Register a unit's webhook."""
    async with connected(dsn) as connection:
        return await reference.add_webhook(connection, IDENTITY, unit, receiver.url + path, SECRET)


async def remove(dsn: str, webhook_id: UUID) -> bool:
    async with connected(dsn) as connection:
        return await reference.remove_webhook(connection, webhook_id)


@asynccontextmanager
async def delivering(pool: Pool, pace: Pace = QUICK) -> AsyncIterator[Courier]:
    courier = Courier(pool, IDENTITY, Metrics(), pace)
    courier.open()
    yield courier
    await courier.close()


async def an_alert(pool: Pool, branch: str = "ICBC-SZ-LH-001") -> str:
    """Alert a unit; return the alert's id."""
    taken = await take(pool, a_verdict(account=an_account(), branch=branch))
    report_id = taken.placed[0].verdict.report.report_id
    return str(await pool.fetchval("select id from alert where report_id = $1", report_id))


async def settled(pool: Pool) -> None:
    """Wait until no delivery is on its way."""

    async def none_waits() -> bool:
        return await alert_store.waiting_deliveries(pool) == 0

    await until(none_waits)


async def state_of(pool: Pool) -> tuple[str, int, str | None]:
    row = await pool.fetchrow("select state, attempts, last_reason from delivery")
    assert row is not None
    return row["state"], row["attempts"], row["last_reason"]
