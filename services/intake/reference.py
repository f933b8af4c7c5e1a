"""Reference data of intake: banks and their keys, branches, cues."""

import csv
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import yaml

from shared.access import fingerprint
from shared.postgres import Connection, RawConnection, Row


async def load(connection: RawConnection, folder: Path) -> dict[str, int]:
    """Load banks, branches and cues from a folder of reference data; what is there is brought up to date."""
    banks = _rows(folder / "banks.csv")
    branches = _rows(folder / "branches.csv")
    vocabulary = yaml.safe_load((folder / "vocabulary.yaml").read_text(encoding="utf-8"))
    cues = vocabulary["cues"]
    async with connection.transaction():
        await connection.execute(
            """
            insert into bank (code, name) select * from unnest($1::text[], $2::text[])
            on conflict (code) do update set name = excluded.name
            """,
            [row["code"] for row in banks],
            [row["name"] for row in banks],
        )
        await connection.execute(
            """
            insert into branch (code, bank, name) select * from unnest($1::text[], $2::text[], $3::text[])
            on conflict (code) do update set bank = excluded.bank, name = excluded.name
            """,
            [row["code"] for row in branches],
            [row["bank"] for row in branches],
            [row["name"] for row in branches],
        )
        await connection.execute(
            """
            insert into cue (code, name, version) select u.*, $3 from unnest($1::text[], $2::text[]) as u
            on conflict (code) do update set name = excluded.name, version = excluded.version
            """,
            [cue["code"] for cue in cues],
            [cue["name"] for cue in cues],
            vocabulary["version"],
        )
    return {"banks": len(banks), "branches": len(branches), "cues": len(cues)}


async def add_key(
    connection: RawConnection | Connection, bank: str, key: str, label: str, expires_at: datetime | None = None
) -> None:
    """Let a bank in with one more key. A bank may have several, so that they can be changed one by one."""
    await connection.execute(
        "insert into bank_key (sha256, bank, label, expires_at) values ($1, $2, $3, $4) on conflict do nothing",
        fingerprint(key),
        bank,
        label,
        expires_at,
    )


async def keys(connection: RawConnection | Connection, bank: str = "") -> list[Row]:
    """Return the keys that were ever given to a bank, or to all: bank, label, times, and whether it is let in by it."""
    return await connection.fetch(
        """
        select bank, label, created_at, expires_at, revoked_at,
               revoked_at is null and coalesce(expires_at > now(), true) as valid
        from bank_key where $1 in ('', bank) order by bank, created_at, label
        """,
        bank,
    )


async def revoke_keys(connection: RawConnection | Connection, bank: str, label: str) -> int:
    """Revoke a bank's keys with this label; return how many there were."""
    rows = await connection.fetch(
        "update bank_key set revoked_at = now() where bank = $1 and label = $2 and revoked_at is null returning 1",
        bank,
        label,
    )
    return len(rows)


def _rows(path: Path) -> list[Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
