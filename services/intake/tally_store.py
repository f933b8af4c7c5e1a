"""intake's SQL for what it tallies, and for the obligations it puts back: one query a function, sets in, sets out.

A window is a range of ids. Digests must be what `shared.events.Tally` says, since others compare them with theirs.

`offset 0` keeps the planner from joining tables as wholes: it does not know how short windows are.
"""

from collections.abc import Sequence
from datetime import datetime

from shared.postgres import Connection, Row
from shared.tally import Count, Gap, Windows


async def reports(connection: Connection, windows: Windows, _before: datetime) -> list[Count]:
    """Count the reports filed in windows. The primary key alone is read."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(id, 0)) & 4503599627370495 as digest
            from report where id >= w.first and id < w.last
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
    )
    return [Count(**dict(row)) for row in rows]


async def reports_with_money(connection: Connection, windows: Windows, _before: datetime) -> list[Count]:
    """Count the same, with the sums in fen."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest, t.fen
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(id, 0)) & 4503599627370495 as digest,
                   sum(amount_fen)::bigint as fen
            from report where id >= w.first and id < w.last
        ) t where t.number > 0
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
    """Count the banks' answers received in windows."""
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


async def cases(connection: Connection, windows: Windows, _before: datetime) -> list[Count]:
    """Count the cases opened in windows, as banks see them."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(case_id, version)) & 4503599627370495 as digest
            from case_view where case_id >= w.first and case_id < w.last
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
    )
    return [Count(**dict(row)) for row in rows]


async def orders(connection: Connection, windows: Windows, _before: datetime) -> list[Count]:
    """Count the orders given in windows, as banks see them."""
    rows = await connection.fetch(
        """
        select w.place, t.number, t.digest
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(id, version)) & 4503599627370495 as digest
            from bank_order where id >= w.first and id < w.last
        ) t where t.number > 0
        """,
        windows.places,
        windows.firsts,
        windows.lasts,
    )
    return [Count(**dict(row)) for row in rows]


UNANSWERED = """
    not coalesce((
        select (v.level = 'alert') = exists (select from case_report c where c.report_id = r.id)
        from verdict v where v.report_id = r.id
    ), false)
"""
"""Whether report `r` lacks an answer: a verdict and, at alert level and only there, a case."""


async def unanswered(connection: Connection, windows: Windows, _before: datetime) -> list[Count]:
    """Count the reports filed in windows that lack an answer."""
    rows = await connection.fetch(
        f"""
        select w.place, t.number, t.digest
        from unnest($1::integer[], $2::uuid[], $3::uuid[]) as w (place, first, last)
        cross join lateral (
            select count(*) as number, bit_xor(uuid_hash_extended(id, 0)) & 4503599627370495 as digest
            from report r where id >= w.first and id < w.last and {UNANSWERED}
        ) t where t.number > 0
        """,  # noqa: S608 - a constant condition
        windows.places,
        windows.firsts,
        windows.lasts,
    )
    return [Count(**dict(row)) for row in rows]


async def reports_in(connection: Connection, gaps: Sequence[Gap]) -> list[Row]:
    """Return the events of the windows' reports that are not in the outbox, where they are still kept."""
    return await connection.fetch(
        """
        select r.event, r.traceparent
        from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        cross join lateral (
            select id, event, traceparent from report
            where id >= w.first and id < w.last and event is not null offset 0
        ) r
        where not exists (select from outbox o where o.id = r.id offset 0) order by r.id
        """,
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )


async def unanswered_in(connection: Connection, gaps: Sequence[Gap]) -> list[Row]:
    """Return the same of those reports only that lack an answer."""
    return await connection.fetch(
        f"""
        select r.event, r.traceparent
        from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        cross join lateral (
            select id, event, traceparent from report
            where id >= w.first and id < w.last and event is not null offset 0
        ) r
        where not exists (select from outbox o where o.id = r.id offset 0) and {UNANSWERED} order by r.id
        """,  # noqa: S608 - a constant condition
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )


async def dispositions_in(connection: Connection, gaps: Sequence[Gap]) -> list[Row]:
    """Return the dispositions of the windows' reports that are not in the outbox, with what their event says."""
    return await connection.fetch(
        """
        select d.id, d.report_id, d.outcome, d.amount_fen, d.recorded_at, r.payee_token, r.traceparent
        from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        cross join lateral (select * from disposition where report_id >= w.first and report_id < w.last offset 0) d
        cross join lateral (select payee_token, traceparent from report where id = d.report_id offset 0) r
        where not exists (select from outbox o where o.id = d.id offset 0) order by d.id
        """,
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )


async def feedback_in(connection: Connection, gaps: Sequence[Gap]) -> list[Row]:
    """Return the events of the windows' answers that are not in the outbox."""
    return await connection.fetch(
        """
        select f.event
        from unnest($1::uuid[], $2::uuid[]) as w (first, last)
        cross join lateral (select id, event from feedback where id >= w.first and id < w.last offset 0) f
        where not exists (select from outbox o where o.id = f.id offset 0) order by f.id
        """,
        [gap.first for gap in gaps],
        [gap.last for gap in gaps],
    )
