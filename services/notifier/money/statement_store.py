"""notifier's SQL for the monthly statement, and its lines put together from it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from services.notifier.money.statement import ACCOUNTS, REPORTS, By, Figures, Line, Period
from shared.postgres import AnyConnection, Row

Owner = tuple[str, str]
"""A unit and a bank; either may be empty, which means all."""

OWNERS: Mapping[By, str] = {
    By.UNIT: "a.code, ''",
    By.BANK: "'', m.bank",
    By.BOTH: "a.code, m.bank",
}
ABOVE = "join unit u on u.code = m.unit join unit a on starts_with(u.path, a.path)"
"""A unit's line holds all that is below it; a line for a bank alone goes by the top of the tree."""

TOP_ONLY = "and a.parent is null"


async def lines(connection: AnyConnection, about: Period, by: By) -> list[Line]:
    """Return the statement's lines: every unit, bank or both that has a figure in one of the three periods."""
    now, year_before, before = [await _figures(connection, one, by) for one in (about, about.year_before, about.before)]
    names = {row["code"]: (row["path"], row["name"]) for row in await _units(connection)} | {"": ("", "")}
    owners = sorted(now.keys() | year_before.keys() | before.keys(), key=lambda one: (names[one[0]][0], one[1]))
    nothing: Figures = Counter()
    return [
        Line(
            owner[0],
            names[owner[0]][1],
            owner[1],
            now.get(owner, nothing),
            year_before.get(owner, nothing),
            before.get(owner, nothing),
        )
        for owner in owners
    ]


async def _figures(connection: AnyConnection, about: Period, by: By) -> dict[Owner, Figures]:
    found: dict[Owner, Figures] = {}
    for row in await _money(connection, about, by):
        figures = found.setdefault((row["unit"], row["bank"]), Counter())
        figures[row["kind"]] += row["fen"]
        figures[REPORTS] += row["reports"]
    for row in await _accounts(connection, about, by):
        found.setdefault((row["unit"], row["bank"]), Counter())[ACCOUNTS] = row["accounts"]
    return found


async def _money(connection: AnyConnection, about: Period, by: By) -> Sequence[Row]:
    """Return what was booked in a period, and how many reports."""
    return await connection.fetch(
        f"""
        select o.unit, o.bank, m.kind, sum(m.fen)::bigint as fen, sum(m.reports)::bigint as reports
        from (
            select unit, bank, kind, sum(fen) as fen, count(*) filter (where kind = 'reported') as reports
            from ledger where booked_at >= $1 and booked_at < $2 group by unit, bank, kind
        ) m
        {ABOVE} {TOP_ONLY if by is By.BANK else ""}
        cross join lateral (values ({OWNERS[by]})) o (unit, bank)
        group by o.unit, o.bank, m.kind
        """,  # noqa: S608 - constant texts
        about.starts_at,
        about.ends_at,
    )


async def _accounts(connection: AnyConnection, about: Period, by: By) -> Sequence[Row]:
    """Return on how many accounts money was stopped in a period; an account counts once a line, however often.

    It belongs to the unit and bank that its case's money belongs to.
    """
    return await connection.fetch(
        f"""
        select o.unit, o.bank, count(distinct m.payee_token) as accounts
        from (
            select s.payee_token, r.unit, r.bank
            from bank_order s
            join fraud_case c on c.id = s.case_id
            join fraud_case r on r.id = coalesce(c.split_from, c.id)
            where s.kind = 'stop' and s.status = 'executed' and s.stopped_fen > 0
              and s.answered_at >= $1 and s.answered_at < $2
        ) m
        {ABOVE} {TOP_ONLY if by is By.BANK else ""}
        cross join lateral (values ({OWNERS[by]})) o (unit, bank)
        group by o.unit, o.bank
        """,  # noqa: S608 - constant texts
        about.starts_at,
        about.ends_at,
    )


async def _units(connection: AnyConnection) -> list[Row]:
    return await connection.fetch("select code, name, path from unit")
