"""rules' SQL for what it tallies: one query a function, sets in, sets out.

A window is a range of ids. Digests must be what `shared.events.Tally` says, since others compare them with theirs.
"""

from datetime import datetime

from shared.postgres import Connection
from shared.tally import Count, Windows


async def reports(connection: Connection, windows: Windows, _before: datetime) -> list[Count]:
    """Count the reports filed in windows that are judged. The primary key alone is read, of each partition."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(report_id, 0)) & 4503599627370495 as digest
            from verdict where report_id >= w.first and report_id < w.last and version = 1
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
    )
    return [Count(**dict(row)) for row in rows]


async def dispositions(connection: Connection, windows: Windows, before: datetime) -> list[Count]:
    """Count the reports filed in windows whose visits are known to have ended."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(report_id, 0)) & 4503599627370495 as digest
            from aftermath where report_id >= w.first and report_id < w.last and disposition_at < $4
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
        before,
    )
    return [Count(**dict(row)) for row in rows]


async def outcomes(connection: Connection, windows: Windows, before: datetime) -> list[Count]:
    """Count the police's findings of windows that count: none that was taken back."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(id, 0)) & 4503599627370495 as digest
            from standing_outcome where id >= w.first and id < w.last and decided_at < $4
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
        before,
    )
    return [Count(**dict(row)) for row in rows]
