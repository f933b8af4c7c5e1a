"""notifier's SQL for what it tallies, and for what it says again: one query a function, sets in, sets out.

A window is a range of ids. Digests must be what `shared.events.Tally` says, since others compare them with theirs.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.notifier.cases.case import Case
from services.notifier.cases.store import CASE_FIELDS, case_of
from shared.postgres import Connection, Row
from shared.tally import Count, Gap, Windows

AT_THE_BANK: Final = "status not in ('proposed', 'rejected')"
"""Which orders banks know of."""


async def reports(connection: Connection, windows: Windows, _before: datetime) -> list[Count]:
    """Count the reports filed in windows, with what the ledger has as reported of them, in fen."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest, l.fen
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(id, 0)) & 4503599627370495 as digest
            from report where id >= w.first and id < w.last
        ) t
        cross join lateral (
            select coalesce(sum(fen), 0)::bigint as fen
            from ledger where report_id >= w.first and report_id < w.last and kind = 'reported'
        ) l
        where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
    )
    return [Count(**dict(row)) for row in rows]


async def dispositions(connection: Connection, windows: Windows, before: datetime) -> list[Count]:
    """Count the dispositions of the reports filed in windows, with their sums in fen."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest, t.fen
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(report_id, 0)) & 4503599627370495 as digest,
                   sum(amount_fen)::bigint as fen
            from disposition where report_id >= w.first and report_id < w.last and recorded_at < $4
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
        before,
    )
    return [Count(**dict(row)) for row in rows]


async def feedback(connection: Connection, windows: Windows, _before: datetime) -> list[Count]:
    """Count the banks' answers that intake received in windows."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(id, 0)) & 4503599627370495 as digest
            from feedback where id >= w.first and id < w.last
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
    )
    return [Count(**dict(row)) for row in rows]


async def cases(connection: Connection, windows: Windows, before: datetime) -> list[Count]:
    """Count the cases opened in windows."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest, t.rests
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(id, version)) & 4503599627370495 as digest,
                   max(changed_at) < $4 as rests
            from fraud_case where id >= w.first and id < w.last
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
        before,
    )
    return [Count(**dict(row)) for row in rows]


async def orders(connection: Connection, windows: Windows, before: datetime) -> list[Count]:
    """Count the orders drawn up in windows that banks know of."""
    rows = await connection.fetch(
        f"""
        select w.place, t.number, t.digest, t.rests
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(id, version)) & 4503599627370495 as digest,
                   max(greatest(ordered_at, approved_at, answered_at)) < $4 as rests
            from bank_order where id >= w.first and id < w.last and {AT_THE_BANK}
        ) t where t.number > 0
        """,  # noqa: S608 - a constant condition
        windows.places,
        windows.firsts,
        windows.lasts,
        before,
    )
    return [Count(**dict(row)) for row in rows]


async def outcomes(connection: Connection, windows: Windows, before: datetime) -> list[Count]:
    """Count the findings of windows by which cases are closed. An id is minted as its case is closed."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest, t.rests
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(outcome_id, 0)) & 4503599627370495 as digest,
                   max(changed_at) < $4 as rests
            from fraud_case where outcome_id >= w.first and outcome_id < w.last and closed_at < $4
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
        before,
    )
    return [Count(**dict(row)) for row in rows]


async def unalerted(connection: Connection, windows: Windows, _before: datetime) -> list[Count]:
    """Count the reports filed in windows that are at alert level and in no case, or in one nobody was alerted to."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(r.id, 0)) & 4503599627370495 as digest
            from report r
            where r.id >= w.first and r.id < w.last and r.level = 'alert'
              and not exists (
                  select from fraud_case c join alert a on a.case_id in (c.id, c.split_from) where c.id = r.case_id
              )
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
    )
    return [Count(**dict(row)) for row in rows]


async def cases_in(connection: Connection, gaps: Sequence[Gap]) -> list[Case]:
    """Return the cases opened in windows."""
    rows = await connection.fetch(
        f"""
        select {CASE_FIELDS} from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        join fraud_case on id >= w.first and id < w.last order by id
        """,  # noqa: S608 - constant field list
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )
    return [case_of(row) for row in rows]


async def orders_in(connection: Connection, gaps: Sequence[Gap]) -> list[Row]:
    """Return the latest events of the windows' orders that banks know of and that are not in the outbox."""
    return await connection.fetch(
        f"""
        select id, status, event from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        join bank_order on id >= w.first and id < w.last
        where {AT_THE_BANK} and not exists (select from outbox o where o.id = bank_order.id) order by id
        """,  # noqa: S608 - a constant condition
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )


async def closed_in(connection: Connection, gaps: Sequence[Gap]) -> list[Case]:
    """Return the cases closed with findings of windows that are not in the outbox."""
    rows = await connection.fetch(
        f"""
        select {CASE_FIELDS} from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        join fraud_case on outcome_id >= w.first and outcome_id < w.last
        where closed_at is not null and not exists (select from outbox o where o.id = outcome_id) order by id
        """,  # noqa: S608 - constant field list
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )
    return [case_of(row) for row in rows]
