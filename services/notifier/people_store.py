"""notifier's SQL for who is there: units, the branches they are in charge of, officers, what officers did."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from services.notifier.cases import store
from services.notifier.cases.case import Case
from shared.errors import not_found
from shared.postgres import Connection, Pool, RawConnection, Row
from shared.privacy import Seal
from shared.tracing import joined


@dataclass(frozen=True, slots=True)
class Officer:
    """Who is at the police's door. `path` is the subtree the officer sees; `level` 1 is the city, 2 a county."""

    id: UUID
    name: str
    unit: str
    role: str
    path: str
    level: int


async def seen(connection: Connection, officer: Officer, case_id: UUID) -> Case:
    """Lock and return a case of the officer's subtree; refuse what is absent or another's: the two look the same.

    The request in hand goes on with the case's trace.
    """
    found = await store.locked_case_seen_by(connection, case_id, officer.path)
    if found is None:
        raise not_found("case")
    return replace(found, traceparent=joined(found.traceparent))


async def officer_of_token(pool: Pool, sha256: bytes) -> Officer | None:
    """Return the officer whose valid token this is."""
    row = await pool.fetchrow(
        """
        select o.id, o.name, o.unit, o.role, u.path, u.level from officer o join unit u on u.code = o.unit
        where o.token_sha256 = $1 and o.revoked_at is null
        """,
        sha256,
    )
    return Officer(**dict(row)) if row else None


async def paths_of_tokens(pool: Pool, tokens: Collection[bytes]) -> dict[bytes, str]:
    """Return the subtree that the officer of each valid token sees; a token that is not valid is left out."""
    rows = await pool.fetch(
        """
        select o.token_sha256, u.path from officer o join unit u on u.code = o.unit
        where o.token_sha256 = any($1::bytea[]) and o.revoked_at is null
        """,
        list(tokens),
    )
    return {row["token_sha256"]: row["path"] for row in rows}


async def units_of_branches(connection: Connection, branches: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the unit in charge of each branch and its path; the top of the tree where a branch is not known."""
    rows = await connection.fetch(
        """
        select asked.code, u.code as unit, u.path
        from unnest($1::text[]) as asked (code)
        left join branch b on b.code = asked.code
        join unit u on u.code = coalesce(b.unit, (select code from unit where parent is null order by code limit 1))
        """,
        list(branches),
    )
    return {row["code"]: (row["unit"], row["path"]) for row in rows}


async def path_of(connection: RawConnection | Pool | Connection, unit: str) -> str | None:
    """Return the path of a unit, where there is such a unit."""
    path: str | None = await connection.fetchval("select path from unit where code = $1", unit)
    return path


async def paths_of(connection: Connection, units: Collection[str]) -> dict[str, str]:
    """Return the paths of units."""
    rows = await connection.fetch("select code, path from unit where code = any($1::text[])", list(units))
    return {row["code"]: row["path"] for row in rows}


async def scam_types(pool: Pool) -> frozenset[str]:
    """Return the scam types there are."""
    rows = await pool.fetch("select code from scam_type")
    return frozenset(row["code"] for row in rows)


async def audit(
    connection: Connection, identity: Seal, actor: str, action: str, subject: UUID, words: str = ""
) -> None:
    """Record who did what to whom, and why in their own words, which are sealed."""
    await connection.execute(
        "insert into audit (actor, action, subject, reason, sealed) values ($1, $2, $3, '', $4)",
        actor,
        action,
        subject,
        identity.seal(words, str(subject)) if words else None,
    )


async def audit_refusal(connection: Connection, actor: str, action: str, subject: UUID, rule: str) -> None:
    """Record who tried what, and the rule that refused it."""
    await connection.execute(
        "insert into audit (actor, action, subject, reason) values ($1, $2, $3, $4)", actor, action, subject, rule
    )


async def audit_of(connection: RawConnection, subject: UUID) -> list[Row]:
    """Return what is on record about a case, an order or another subject, oldest first."""
    return await connection.fetch(
        "select at, actor, action, reason, sealed from audit where subject = $1 order by id", subject
    )


async def approving_unit(connection: Connection, unit: str, level: int, but_not: UUID | None) -> tuple[str, str]:
    """Return the nearest unit up the tree that may approve at this level and has somebody else who can; and its path.

    Where no such unit has anybody, the nearest of the level; where there is none of the level, the top.
    """
    row = await connection.fetchrow(
        """
        select up.code, up.path from unit at join unit up on starts_with(at.path, up.path)
        where at.code = $1
        order by up.level <= $2 desc,
                 exists (select from officer o where o.unit = up.code and o.role in ('approver', 'supervisor')
                                                 and o.revoked_at is null and o.id is distinct from $3) desc,
                 case when up.level <= $2 then -length(up.path) else length(up.path) end
        limit 1
        """,
        unit,
        level,
        but_not,
    )
    assert row is not None
    return row["code"], row["path"]


async def is_connected(connection: Connection, bank: str) -> bool:
    """Whether a bank is in the reference data, and so pulls its orders."""
    return bool(await connection.fetchval("select exists (select from branch where bank = $1)", bank))
