"""notifier's SQL for figures that take too long for a scrape: counted by one replica, read by all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from services.notifier.money.verify_store import read_whole
from shared.postgres import Pool, Row

COUNTING_SECONDS: Final = 300.0
"""How long counting may take. It holds nobody up."""


class Name(StrEnum):
    """What is counted."""

    LEDGER = "ledger"
    MONEY_BY_TYPE = "money_by_type"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted last. Money in fen by kind and scam type; missed deadlines by stage and unit.

    The ledger was checked up to `ledger_checked_at`, if ever.
    """

    money_by_type: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    missed: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    ledger_differences: int = 0
    ledger_checked_at: datetime | None = None


async def claim(pool: Pool, names: Sequence[Name], held: timedelta) -> list[Row]:
    """Take what of these is due: name, counted_at, body, at (now). If nothing comes, it is due after `held`."""
    return await pool.fetch(
        """
        update figure set due_at = now() + $2 where name = any($1::text[]) and due_at <= now()
        returning name, counted_at, body, now() as at
        """,
        [name.value for name in names],
        held,
    )


async def keep(pool: Pool, name: Name, body: object, counted_at: datetime, rest: timedelta) -> None:
    """Keep a figure as it was at a moment; it is due again after `rest`."""
    await pool.execute(
        "update figure set body = $2::jsonb, counted_at = $3, due_at = now() + $4 where name = $1",
        name.value,
        json.dumps(body),
        counted_at,
        rest,
    )


async def all_figures(pool: Pool) -> Figures:
    """Return what was counted last."""
    rows = await pool.fetch("select name, counted_at, body from figure")
    bodies: dict[str, Any] = {row["name"]: json.loads(row["body"]) for row in rows}
    at = {row["name"]: row["counted_at"] for row in rows}
    return Figures(
        {(kind, scam_type): fen for kind, scam_type, fen in bodies.get(Name.MONEY_BY_TYPE, ())},
        {(stage, unit): number for stage, unit, number in bodies.get(Name.MISSED, ())},
        (bodies.get(Name.LEDGER) or {}).get("differences", 0),
        at.get(Name.LEDGER),
    )


async def money_by_type(pool: Pool) -> list[tuple[str, str, int]]:
    """Return what the ledger holds (fen) by kind and the scam type of the case, `none` of reports in no case."""
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        await read_whole(connection)
        rows = await connection.fetch(
            """
            select l.kind, coalesce(c.scam_type, 'none') as scam_type, sum(l.fen)::bigint as fen
            from ledger l
            left join report r on r.id = l.report_id and r.case_id is not null
            left join fraud_case c on c.id = coalesce(l.case_id, r.case_id)
            group by 1, 2 order by 1, 2
            """,
            timeout=COUNTING_SECONDS,
        )
    return [(row["kind"], row["scam_type"], row["fen"]) for row in rows]


async def missed(pool: Pool, stages: list[str]) -> list[tuple[str, str, int]]:
    """Count by stage and unit in charge what was missed and is still to be done: whoever is late was told of it."""
    rows = await pool.fetch(
        """
        select d.stage, coalesce(c.in_charge, c.unit) as unit, count(*) as number
        from deadline d join fraud_case c on c.id = d.case_id
        where d.state = 'running' and d.step > 0 and d.stage = any($1::text[])
        group by 1, 2 order by 1, 2
        """,
        stages,
        timeout=COUNTING_SECONDS,
    )
    return [(row["stage"], row["unit"], row["number"]) for row in rows]
