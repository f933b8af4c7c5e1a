"""rules' SQL for looking back: verdicts as they were reached, with what was known then and what became of them."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from shared.postgres import RawConnection, Row

PAGE: Final = 500

JUDGED: Final = """
    select v.report_id, v.version, v.filed_at, v.level, v.score, v.scam_type, v.judged_at, v.pack_version, v.pack_hash,
           v.facts, v.lists, v.shadow, v.event, a.disposition, a.finding, a.scam_type as found_scam_type
    from verdict v left join aftermath a using (report_id)
"""


REPLAYED: Final = "v.filed_at >= $1 and v.filed_at < $2 and v.version = 1 and v.pack_version is not null"
"""First verdicts of a span. Those from before there were packs have no facts to judge by."""


async def count_judged(connection: RawConnection, since: datetime, until: datetime) -> int:
    """Return how many reports of a span `judged` yields."""
    return cast(
        "int",
        await connection.fetchval(
            f"select count(*) from verdict v where {REPLAYED}",  # noqa: S608 - our own words
            since,
            until,
        ),
    )


async def judged(connection: RawConnection, since: datetime, until: datetime) -> AsyncIterator[Row]:
    """Yield the first verdicts of a span that were reached by a pack, in the order of filing.

    Memory stays flat however many there are.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        cursor = connection.cursor(
            f"{JUDGED} where {REPLAYED} order by v.filed_at, v.report_id",
            since,
            until,
            prefetch=PAGE,
        )
        async for row in cursor:
            yield row


async def verdicts_of(connection: RawConnection, report_id: UUID) -> list[Row]:
    """Return all verdicts on one report, however old."""
    return await connection.fetch(f"{JUDGED} where v.report_id = $1 order by v.version", report_id)


async def shadows(connection: RawConnection, since: datetime) -> list[Row]:
    """Count what shadow rules and shadow packs would have said, beside what was said and what became of it."""
    return await connection.fetch(
        """
        with said as (
            select 'rule ' || rule as of, v.level, v.shadow ->> 'level' as would_be, v.report_id
            from verdict v cross join lateral jsonb_array_elements_text(v.shadow -> 'rules') as rule
            where v.filed_at >= $1 and v.version = 1
            union all
            select 'pack @' || (v.shadow -> 'pack' ->> 'version'), v.level, v.shadow -> 'pack' ->> 'level', v.report_id
            from verdict v where v.filed_at >= $1 and v.version = 1 and v.shadow ? 'pack'
        )
        select s.of, s.level, s.would_be, count(*) as reports,
               count(*) filter (where a.finding = 'confirmed'
                                or (a.finding is null and a.disposition <> 'proceeded')) as scams,
               count(*) filter (where a.finding = 'unfounded'
                                or (a.finding is null and a.disposition = 'proceeded')) as honest
        from said s left join aftermath a using (report_id)
        group by 1, 2, 3 order by 1, 2, 3
        """,
        since,
    )
