"""Who is on duty and how officers are reached, put there as the commands would."""

from datetime import timedelta
from uuid import UUID

from services.notifier.duty import duty_store
from services.notifier.duty.duty import Shift
from shared.outbox import new_id
from shared.postgres import Pool
from tests.parts import IDENTITY
from tests.service.notifier.builders import now

CUIZHU_OFFICER, LUOHU_APPROVER, LUOHU_SUPERVISOR, CITY_OFFICER, AUDITOR_NAME = (
    "陆峥",
    "沈牧言",
    "秦若楠",
    "叶知远",
    "顾明川",
)


async def add_officer(pool: Pool, name: str, unit: str, role: str = "officer") -> None:
    """Let a further officer in."""
    await pool.execute(
        "insert into officer (id, name, unit, role, token_sha256) values ($1, $2, $3, $4, $5)",
        new_id(),
        name,
        unit,
        role,
        new_id().bytes,
    )


async def reachable(pool: Pool, *names: str, delay: int = 0, position: int = 1, channel: str = "sms") -> None:
    """Give officers an address each."""
    for name in names:
        await _add_target(pool, None, name, channel, delay, position)


async def reachable_unit(pool: Pool, *units: str, channel: str = "wecom") -> None:
    """Give units an address each."""
    for unit in units:
        await _add_target(pool, unit, None, channel, 0, 1)


async def _add_target(pool: Pool, unit: str | None, name: str | None, channel: str, delay: int, position: int) -> None:
    target_id = new_id()
    await pool.execute(
        """
        insert into target (id, unit, officer, channel, address, shown, position, delay_seconds)
        values ($1, $2, (select id from officer where name = $3), $4, $5, '****', $6, $7)
        """,
        target_id,
        unit,
        name,
        channel,
        IDENTITY.seal("13900000000", str(target_id)),
        position,
        delay,
    )


async def on_duty(pool: Pool, *names: str, unit: str = "SZ-LH-CZ", since: float = -1, hours: float = 12) -> None:
    """Put officers on the roster; `since` in hours from now."""
    starts = now() + timedelta(hours=since)
    shifts = [Shift(unit, name, starts, starts + timedelta(hours=hours)) for name in names]
    async with pool.acquire() as connection:
        assert await duty_store.add_shifts(connection, shifts) == len(names)


async def told(pool: Pool, case_id: UUID | str | None = None) -> list[tuple[str, int, str]]:
    """Who is told of a case (or of any): owner, delay in seconds, state; sorted."""
    rows = await pool.fetch(
        """
        select coalesce(o.name, t.unit) as owner, d.state,
               round(extract(epoch from d.due_at - d.created_at))::integer as delay
        from delivery d join target t on t.id = d.target_id left join officer o on o.id = t.officer
        where $1::uuid is null or d.case_id = $1
        """,
        UUID(str(case_id)) if case_id else None,
    )
    return sorted((row["owner"], row["delay"], row["state"]) for row in rows)


async def states(pool: Pool, case_id: UUID | str | None = None) -> list[tuple[str, str]]:
    """Who is told of a case (or of any), and the state; sorted. The courier, who may be at it, puts off what it has."""
    return sorted((owner, state) for owner, _, state in await told(pool, case_id))
