"""Webhooks of units, and couriers that deliver to them quickly."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from services.notifier import reference
from services.notifier.alerting import delivery_store, targets
from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.channels.wires import ChannelSettings, wires_of
from services.notifier.alerting.delivery import Courier
from services.notifier.alerting.lane import Pace
from services.notifier.alerting.target_store import Owner
from services.notifier.metrics import Metrics
from shared.postgres import Pool
from tests.fakes.receiver import HOST, Receiver
from tests.parts import IDENTITY, TOKENS
from tests.service.notifier.builders import a_verdict, an_account, connected, take, until

SECRET = "whsec_dGhlIHNlY3JldCBvZiBhIHN0YXRpb24="
QUICK = Pace(look_every=0.01, first_wait=0.01, longest_wait=0.02, first_rest=0.02, longest_rest=0.05)
TIMEOUT = 1.0
"""For a receiver that is to be given up. Where none is, a busy machine must not be taken for one: `UNHURRIED`."""
UNHURRIED = 30.0


async def add(dsn: str, unit: str, receiver: Receiver, path: str = "alerts") -> UUID:
    """Register a unit's webhook."""
    async with connected(dsn) as connection:
        return await reference.add_webhook(connection, IDENTITY, unit, receiver.url + path, SECRET)


async def remove(dsn: str, webhook_id: UUID) -> bool:
    async with connected(dsn) as connection:
        return await reference.remove_webhook(connection, webhook_id)


def settings(**told: str) -> ChannelSettings:
    """Settings of the channels, by which this machine may be called."""
    return ChannelSettings.model_validate({"allowed_private_hosts": HOST, **told})


def a_courier(
    pool: Pool, pace: Pace = QUICK, metrics: Metrics | None = None, timeout_seconds: float = UNHURRIED, **told: str
) -> Courier:
    return Courier(pool, IDENTITY, TOKENS, metrics or Metrics(), wires_of(settings(**told), timeout_seconds), pace)


@asynccontextmanager
async def delivering(
    pool: Pool, pace: Pace = QUICK, metrics: Metrics | None = None, timeout_seconds: float = UNHURRIED, **told: str
) -> AsyncIterator[Courier]:
    courier = a_courier(pool, pace, metrics, timeout_seconds, **told)
    courier.open()
    yield courier
    await courier.close()


async def target(
    dsn: str, channel: Channel, address: str, unit: str = "SZ-LH-CZ", secret: str | None = None, officer: str = ""
) -> UUID:
    """Register a target of a unit, or of an officer."""
    owner = (Owner.OFFICER, officer) if officer else (Owner.UNIT, unit)
    async with connected(dsn) as connection:
        return await targets.add(connection, IDENTITY, owner, channel, address, secret)


async def an_alert(pool: Pool, branch: str = "ICBC-SZ-LH-001") -> str:
    """Alert a unit; return the alert's id."""
    taken = await take(pool, a_verdict(account=an_account(), branch=branch))
    report_id = taken.placed[0].verdict.report.report_id
    return str(await pool.fetchval("select id from alert where report_id = $1", report_id))


async def settled(pool: Pool) -> None:
    """Wait until no delivery is on its way."""

    async def none_waits() -> bool:
        return await delivery_store.waiting_deliveries(pool) == 0

    await until(none_waits)


async def state_of(pool: Pool) -> tuple[str, int, str | None]:
    row = await pool.fetchrow("select state, attempts, last_reason from delivery")
    assert row is not None
    return row["state"], row["attempts"], row["last_reason"]
