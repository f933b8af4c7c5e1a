"""rules' SQL for packs: what was published, and what is in force."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from services.rules.pack.files import digest
from shared.postgres import AnyConnection, Pool, Row

Role = Literal["live", "shadow"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A pack as it was published: its version, hash, name and files."""

    version: int
    hash: str
    name: str
    files: Mapping[str, str]


async def store_pack(connection: AnyConnection, name: str, files: Mapping[str, str], author: str, note: str) -> int:
    """Keep a pack's files for good; return its version. Equal files are one version, however often they are stored."""
    await connection.execute("lock table pack_version in share row exclusive mode")
    hashed = digest(files)
    version = await connection.fetchval("select max(version) from pack_version where hash = $1", hashed)
    if version is None:
        version = await connection.fetchval(
            "insert into pack_version (hash, name, files, author, note) values ($1, $2, $3, $4, $5) returning version",
            hashed,
            name,
            json.dumps(dict(files), ensure_ascii=False),
            author,
            note,
        )
    return cast("int", version)


async def release(connection: AnyConnection, role: Role, version: int | None, author: str, note: str) -> None:
    """Put a version in force; no version ends a shadow."""
    await connection.execute(
        "insert into pack_release (role, version, author, note) values ($1, $2, $3, $4)", role, version, author, note
    )


async def in_force(pool: Pool | AnyConnection) -> dict[str, int]:
    """Return the versions in force by role."""
    rows = await pool.fetch(
        """
        select distinct on (role) role, version from pack_release order by role, id desc
        """
    )
    return {row["role"]: row["version"] for row in rows if row["version"] is not None}


async def stored(pool: Pool | AnyConnection, version: int) -> Stored | None:
    """Return a version's files, also years later."""
    row = await pool.fetchrow("select version, hash, name, files from pack_version where version = $1", version)
    return Stored(row["version"], row["hash"], row["name"], json.loads(row["files"])) if row else None


async def releases(connection: AnyConnection, limit: int) -> list[Row]:
    """Return what was released, the latest first."""
    return await connection.fetch(
        """
        select r.id, r.role, r.version, r.author, r.note, r.released_at, v.name, v.hash,
               r.id = max(r.id) over (partition by r.role) and r.version is not null as in_force
        from pack_release r left join pack_version v using (version)
        order by r.id desc limit $1
        """,
        limit,
    )


async def version_before(connection: AnyConnection) -> int | None:
    """Return the version that was live before the one that is: the highest below it, so that one can go on back."""
    return cast(
        "int | None",
        await connection.fetchval(
            """
            select max(version) from pack_release
            where role = 'live'
              and version < (select version from pack_release where role = 'live' order by id desc limit 1)
            """
        ),
    )


async def once_live(pool: Pool | AnyConnection, limit: int) -> list[int]:
    """Return the versions that were live, the one released last first."""
    rows = await pool.fetch(
        """
        select version from pack_release where role = 'live' and version is not null
        group by version order by max(id) desc limit $1
        """,
        limit,
    )
    return [row["version"] for row in rows]
