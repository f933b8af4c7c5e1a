"""Counts for tallies in SQL: how many there are of a thing in each window, their digest, and what else is compared.

The digest must be what `shared.events.Tally` says, since others compare it with theirs: it is written down here alone.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from shared.postgres import Connection
from shared.tally import Count, Windows

Counting = Callable[[Connection, Windows, datetime], Awaitable[list[Count]]]
"""Counts what was minted in windows, without what changed after a moment."""


def counting(
    things: str, ids: str, *, version: str = "0", where: str = "true", fen: str = "0", rests: str = "true"
) -> Counting:
    """Return what counts the rows of the table `things` whose `ids`, UUIDv7, lie in a window.

    The others are SQL: `version` is hashed with the id, `where` leaves rows out, `fen` sums up money, and `rests` says
    whether nothing of it changed of late. They may name the window, `w.first` and `w.last`, and the moment `before`
    which what changed is not counted.
    """
    statement = f"""
        select w.place, t.number, t.digest, t.fen, t.rests
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join (select $4::timestamptz as before) as b
        cross join lateral (
            select count(*) as number,
                   bit_xor(uuid_hash_extended({ids}, {version})) & x'fffffffffffff'::bigint as digest,
                   coalesce({fen}, 0)::bigint as fen, {rests} as rests
            from {things} where {ids} >= w.first and {ids} < w.last and {where}
        ) t where t.number > 0
    """  # noqa: S608 - put together of our own words

    async def count(connection: Connection, windows: Windows, before: datetime) -> list[Count]:
        rows = await connection.fetch(statement, windows.places, windows.firsts, windows.lasts, before)
        return [Count(**dict(row)) for row in rows]

    return count
