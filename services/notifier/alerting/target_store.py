"""notifier's SQL for targets: where messages go."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.notifier.alerting.channels.limits import Channel
from shared.postgres import RawConnection


class Owner(StrEnum):
    """Whose a target is."""

    UNIT = "unit"
    OFFICER = "officer"
    BANK = "bank"


@dataclass(frozen=True, slots=True)
class Target:
    """A target as it is stored: address and secret sealed. `shown` is what people may see of the address."""

    id: UUID
    owner: Owner
    owner_id: str
    channel: Channel
    address: str
    sealed_secret: str | None
    shown: str
    position: int = 1
    delay_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """A target and how it fares, for operators."""

    id: UUID
    owner: Owner
    name: str
    channel: Channel
    shown: str
    position: int
    delay_seconds: int
    waiting: int
    failures: int
    closed_until: datetime | None


LOOK_UP: Final = {
    Owner.UNIT: "select code from unit where code = $1",
    Owner.OFFICER: "select id::text from officer where name = $1 and revoked_at is null",
    Owner.BANK: "select bank from branch where bank = $1 limit 1",
}


async def owner_id(connection: RawConnection, owner: Owner, name: str) -> str | None:
    """Return what an owner of this name is stored as; None where there is none. Officers go by name, others by code."""
    found: str | None = await connection.fetchval(LOOK_UP[owner], name)
    return found


async def insert_target(connection: RawConnection, target: Target) -> None:
    """Add a target."""
    await connection.execute(
        """
        insert into target (id, unit, officer, bank, channel, address, sealed_secret, shown, position, delay_seconds)
        values ($1, case when $2 = 'unit' then $3 end, case when $2 = 'officer' then $3::uuid end,
                case when $2 = 'bank' then $3 end, $4, $5, $6, $7, $8, $9)
        """,
        target.id,
        target.owner.value,
        target.owner_id,
        target.channel.value,
        target.address,
        target.sealed_secret,
        target.shown,
        target.position,
        target.delay_seconds,
    )


async def replace_secret(connection: RawConnection, target_id: UUID, before: str, sealed_secret: str) -> bool:
    """Replace a target's sealed secret; return whether it was still the one before."""
    done = await connection.fetchval(
        """
        update target set sealed_secret = $3
        where id = $1 and sealed_secret = $2 and removed_at is null returning true
        """,
        target_id,
        before,
        sealed_secret,
    )
    return bool(done)


async def remove_target(connection: RawConnection, target_id: UUID) -> bool:
    """Send nothing more to a target; what is on its way to it ends. Return whether there was one."""
    async with connection.transaction():
        removed = await connection.fetchval(
            "update target set removed_at = now() where id = $1 and removed_at is null returning true", target_id
        )
        await connection.execute(
            """
            update delivery set state = 'dead', last_reason = 'target removed', settled_at = now()
            where target_id = $1 and state = 'pending'
            """,
            target_id,
        )
    return bool(removed)


async def targets(connection: RawConnection) -> list[Listed]:
    """Return every target, with what is waiting for it."""
    rows = await connection.fetch(
        """
        select t.id, case when t.officer is not null then 'officer' when t.bank is not null then 'bank' else 'unit' end
                   as owner,
               coalesce(t.unit, o.name, t.bank) as name, t.channel, t.shown, t.position, t.delay_seconds, t.failures,
               t.closed_until,
               (select count(*) from delivery d where d.target_id = t.id and d.state = 'pending') as waiting
        from target t left join officer o on o.id = t.officer
        where t.removed_at is null order by owner, name, t.position, t.created_at
        """
    )
    return [Listed(**{**dict(row), "owner": Owner(row["owner"]), "channel": Channel(row["channel"])}) for row in rows]


async def target_of(connection: RawConnection, target_id: UUID) -> Target | None:
    """Return a target that is not removed."""
    row = await connection.fetchrow(
        """
        select id, coalesce(unit, officer::text, bank) as owner_id, channel, address, sealed_secret, shown, position,
               delay_seconds,
               case when officer is not null then 'officer' when bank is not null then 'bank' else 'unit' end as owner
        from target where id = $1 and removed_at is null
        """,
        target_id,
    )
    if row is None:
        return None
    return Target(**{**dict(row), "owner": Owner(row["owner"]), "channel": Channel(row["channel"])})
