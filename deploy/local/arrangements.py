"""What is set up at notifier for the length of a morning: a webhook, officers' mail addresses, one short deadline."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from services.notifier import reference
from services.notifier.alerting import target_store, targets
from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.target_store import Owner
from shared.postgres import RawConnection
from shared.privacy import Seal
from shared.settings import read_keys


def address_of(place: int) -> str:
    """Return the mail address that an officer has for the morning, by the place in `info["officers"]`."""
    return f"officer-{place}@police.example"


@asynccontextmanager
async def arranged(
    info: dict[str, Any], environment: dict[str, str], hook: tuple[str, str], hurry: dict[str, Any]
) -> AsyncIterator[None]:
    """Arrange it, and undo it at the end. `hook` is URL and secret; `hurry` names a unit and its seconds."""
    identity = Seal(read_keys(environment["IDENTITY_KEYS"]))
    connection = await asyncpg.connect(environment["DATABASE_URL"], server_settings={"search_path": "notifier"})
    added = []
    try:
        added.append(await reference.add_webhook(connection, identity, "SZ", *hook))
        for place, officer in enumerate(info["officers"]):
            if officer["role"] != "auditor":
                owner = (Owner.OFFICER, officer["name"])
                added.append(await targets.add(connection, identity, owner, Channel.MAIL, address_of(place)))
        await _hurry(connection, hurry["unit"], hurry["seconds"])
        yield
    finally:
        for target_id in added:
            await target_store.remove_target(connection, target_id)
        await _hurry_no_more(connection, hurry["unit"])
        await connection.close()


async def _hurry(connection: RawConnection, unit: str, seconds: int) -> None:
    """Give a unit little time to acknowledge. The next `make run` would load the reference rules in its place."""
    await connection.execute(
        """
        insert into deadline_rule (unit, urgency, stage, seconds) values ($1, '02', 'acknowledge', $2)
        on conflict (unit, urgency, stage) do update set seconds = excluded.seconds
        """,
        unit,
        seconds,
    )


async def _hurry_no_more(connection: RawConnection, unit: str) -> None:
    await connection.execute(
        "delete from deadline_rule where unit = $1 and urgency = '02' and stage = 'acknowledge'", unit
    )
