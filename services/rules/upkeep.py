"""Upkeep of rules' memory: partitions made in time, and what is past its time forgotten.

Any replica may do it, at any time and together with others: each step is a transaction under one lock, and
does nothing where it has been done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from shared.postgres import Connection, Pool, RawConnection
from shared.tally import first_id

SIGHTINGS_KEPT: Final = timedelta(days=35)
"""The longest window of a feature, and some days for reports that are judged late."""

BRANCH_DAYS_KEPT: Final = timedelta(days=31)
LABELS_KEPT_LONGER: Final = timedelta(days=31)
"""What became of a report is kept for as long as its verdict, which goes with its whole month."""

MONTHS_AHEAD: Final = 2
PAGE: Final = 10_000
LOCK: Final = (0x7275, 0x1)
"""Two numbers of our own: locks by two numbers never meet those by one."""

WAIT_FOR_TABLES: Final = "set local lock_timeout = '2s'"
"""Who waits for a table holds up all who come after; the next upkeep tries again."""


@dataclass(frozen=True, slots=True)
class Partition:
    """The verdicts on what was filed from one moment until before another."""

    name: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What was done: partitions by name, and how many old rows were deleted."""

    created: tuple[str, ...]
    dropped: tuple[str, ...]
    deleted: int


async def keep_up(pool: Pool, now: datetime, keep_verdicts: timedelta | None = None) -> Upkeep:
    """Make the partitions that will be needed, and forget what no rule looks at any more.

    Verdicts are kept for ever unless `keep_verdicts` says for how long. Raises `TRANSIENT` errors where a
    table could not be had in time: do it again later.
    """
    created = [part.name for part in wanted(now) if await _make(pool, part)]
    dropped = await _drop_before(pool, now - keep_verdicts) if keep_verdicts is not None else []
    deleted = await _delete_sightings(pool, now - SIGHTINGS_KEPT)
    deleted += await _delete_days(pool, now - BRANCH_DAYS_KEPT)
    if keep_verdicts is not None:
        deleted += await _delete_verdicts(pool, now - keep_verdicts)
        deleted += await _delete_aftermath(pool, now - keep_verdicts - LABELS_KEPT_LONGER)
    return Upkeep(tuple(created), tuple(dropped), deleted)


def wanted(now: datetime) -> Iterator[Partition]:
    """Yield the partitions of this month and of those to come, in UTC."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(MONTHS_AHEAD + 1):
        ends = (first + timedelta(days=31)).replace(day=1)
        yield Partition(f"verdict_{first:%Y%m}", first, ends)
        first = ends


async def _make(pool: Pool, part: Partition) -> bool:
    """Make a partition unless it is there. Rows that came before it move into it from the default partition.

    All who use the table wait meanwhile: a row on its way into the default partition would be refused there.
    """
    async with pool.acquire() as connection, connection.transaction():
        await _begin(connection)
        if await connection.fetchval("select to_regclass($1)::oid", part.name):
            return False
        await connection.execute("lock table only verdict in access exclusive mode")
        await connection.execute(f"create table {part.name} (like verdict including defaults)")
        await connection.execute(
            f"""
            with moved as (delete from verdict_default where filed_at >= $1 and filed_at < $2 returning *)
            insert into {part.name} select * from moved
            """,  # noqa: S608 - our own name
            part.begins,
            part.ends,
        )
        await connection.execute(
            f"""
            alter table verdict attach partition {part.name}
            for values from ('{part.begins.isoformat()}') to ('{part.ends.isoformat()}')
            """
        )
        return True


async def _drop_before(pool: Pool, moment: datetime) -> list[str]:
    """Drop the partitions that end at a moment or before; return their names."""
    dropped = []
    for name in await _ended(pool, moment):
        async with pool.acquire() as connection, connection.transaction():
            await _begin(connection)
            if await connection.fetchval("select to_regclass($1)::oid", name):
                await connection.execute(f"drop table {name}")
                dropped.append(name)
    return dropped


async def _ended(pool: Pool, moment: datetime) -> list[str]:
    rows = await pool.fetch(
        r"""
        select name from (
            select c.relname::text as name,
                   (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''(.+)''\)'))[1]::timestamptz as ends
            from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = 'verdict'::regclass
        ) parts
        where ends <= $1 order by ends
        """,
        moment,
    )
    return [row["name"] for row in rows]


async def _delete_sightings(pool: Pool, moment: datetime) -> int:
    """Delete old sightings, some at a time, so that none is held for long."""
    deleted, page = 0, PAGE
    while page == PAGE:
        page = _number(
            await pool.execute(
                """
                delete from sighting where report_id in (
                    select report_id from sighting where filed_at < $1 order by filed_at limit $2
                    for update skip locked
                )
                """,
                moment,
                PAGE,
            )
        )
        deleted += page
    return deleted


async def _delete_days(pool: Pool, moment: datetime) -> int:
    return _number(await pool.execute("delete from branch_day where day < $1", moment.astimezone(UTC).date()))


async def _delete_verdicts(pool: Pool, moment: datetime) -> int:
    """Delete old verdicts that are in no partition to be dropped."""
    return _number(await pool.execute("delete from verdict_default where filed_at < $1", moment))


async def _delete_aftermath(pool: Pool, moment: datetime) -> int:
    """Delete what became of reports filed before a moment: their ids are in the order of filing."""
    return _number(await pool.execute("delete from aftermath where report_id < $1", first_id(moment)))


async def forget(connection: RawConnection, reports: Sequence[UUID]) -> set[UUID]:
    """Forget at once by what reports were judged: notes, reasons, facts. Return those that were there.

    Level, score and scam type stay, for the tally and the statistics; a backtest passes such reports over.
    """
    rows = await connection.fetch(
        """
        update verdict
        set facts = '{}', lists = null, shadow = null, pack_version = null, pack_hash = null, traceparent = '',
            event = convert_to((convert_from(event, 'UTF8')::jsonb
                                || '{"findings": [], "advice": {"ask": [], "say": [], "do": []}}'
                                || jsonb_build_object('report', convert_from(event, 'UTF8')::jsonb -> 'report'
                                                                || '{"identity": "", "narrative": ""}'))::text, 'UTF8')
        where report_id = any($1::uuid[])
        returning report_id
        """,
        reports,
    )
    return {row["report_id"] for row in rows}


def _number(done: str) -> int:
    """Read how many rows a statement deleted."""
    return int(done.removeprefix("DELETE "))


async def _begin(connection: Connection) -> None:
    """Wait for other replicas that do the same, for a while."""
    await connection.execute(WAIT_FOR_TABLES)
    await connection.execute("select pg_advisory_xact_lock($1::integer, $2::integer)", *LOCK)
