"""Reference data of notifier: the unit tree, branches, scam types, officers, webhooks."""

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import yaml

from services.notifier.alerting import target_store, targets
from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.target_store import Owner
from services.notifier.clock.clock import DEFAULTS, LONGEST_SECONDS, Stage, Urgency
from shared.access import fingerprint
from shared.outbox import new_id
from shared.postgres import RawConnection, Row
from shared.privacy import Seal

LEVELS = 6

DeadlineOf = tuple[str, Urgency, Stage]
"""Whose deadline it is, in how urgent a case, for what."""


async def load(connection: RawConnection, folder: Path) -> dict[str, int]:
    """Load units, branches, scam types and deadlines from a folder of reference data.

    What is there is brought up to date; the deadlines are those of `deadlines.csv` and no others, where the folder
    has one. Raises `ValueError` where the units are not a tree, or a deadline makes no sense.
    """
    units = _rows(folder / "units.csv")
    branches = _rows(folder / "branches.csv")
    vocabulary = yaml.safe_load((folder / "vocabulary.yaml").read_text(encoding="utf-8"))
    scam_types = vocabulary["scam_types"]
    paths = unit_paths(units)
    rules = deadline_rules(folder / "deadlines.csv", paths.keys())
    async with connection.transaction():
        await _load_units(connection, units, paths)
        await _load_branches(connection, branches)
        await _load_scam_types(connection, scam_types, vocabulary["version"])
        if rules is not None:
            await _load_deadlines(connection, rules)
    return {
        "units": len(units),
        "branches": len(branches),
        "scam types": len(scam_types),
        "deadlines": len(rules or ()),
    }


async def _load_units(connection: RawConnection, units: Sequence[Mapping[str, str]], paths: Mapping[str, str]) -> None:
    ordered = sorted(units, key=lambda unit: int(unit["level"]))
    await connection.execute(
        """
        insert into unit (code, name, level, parent, path)
        select * from unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[])
        on conflict (code) do update
        set name = excluded.name, level = excluded.level, parent = excluded.parent, path = excluded.path
        """,
        [unit["code"] for unit in ordered],
        [unit["name"] for unit in ordered],
        [int(unit["level"]) for unit in ordered],
        [unit["parent"] or None for unit in ordered],
        [paths[unit["code"]] for unit in ordered],
    )
    for table in ("case_unit", "alert"):  # a unit that moved in the tree takes along what it sees
        await connection.execute(
            f"update {table} t set path = u.path from unit u where u.code = t.unit and t.path <> u.path"  # noqa: S608
        )


async def _load_branches(connection: RawConnection, branches: Sequence[Mapping[str, str]]) -> None:
    await connection.execute(
        """
        insert into branch (code, bank, name, unit)
        select * from unnest($1::text[], $2::text[], $3::text[], $4::text[])
        on conflict (code) do update set bank = excluded.bank, name = excluded.name, unit = excluded.unit
        """,
        [row["code"] for row in branches],
        [row["bank"] for row in branches],
        [row["name"] for row in branches],
        [row["unit"] for row in branches],
    )


async def _load_scam_types(connection: RawConnection, scam_types: Sequence[Mapping[str, str]], version: str) -> None:
    await connection.execute(
        """
        insert into scam_type (code, name, version) select u.*, $3 from unnest($1::text[], $2::text[]) as u
        on conflict (code) do update set name = excluded.name, version = excluded.version
        """,
        [scam["code"] for scam in scam_types],
        [scam["name"] for scam in scam_types],
        version,
    )


async def _load_deadlines(connection: RawConnection, rules: Mapping[DeadlineOf, int]) -> None:
    await connection.execute("delete from deadline_rule")
    await connection.execute(
        """
        insert into deadline_rule (unit, urgency, stage, seconds)
        select * from unnest($1::text[], $2::text[], $3::text[], $4::integer[])
        """,
        [unit for unit, _, _ in rules],
        [urgency.value for _, urgency, _ in rules],
        [stage.value for _, _, stage in rules],
        list(rules.values()),
    )


def deadline_rules(path: Path, units: Collection[str]) -> dict[DeadlineOf, int] | None:
    """Return the seconds that a file allows to stages, by unit and urgency; nothing where there is no file.

    Raises `ValueError`, with the line and what is wrong with it.
    """
    if not path.exists():
        return None
    rules: dict[DeadlineOf, int] = {}
    stages = {stage.value for _, stage in DEFAULTS}
    for number, row in enumerate(_rows(path), start=2):
        unit, urgency, stage, seconds = (row.get(name) or "" for name in ("unit", "urgency", "stage", "seconds"))
        where = f"{path.name}, line {number}:"
        if unit not in units:
            raise ValueError(f"{where} there is no unit {unit!r} in units.csv")
        if urgency not in set(Urgency):
            raise ValueError(f"{where} urgency is {urgency!r}; it must be one of {', '.join(Urgency)}")
        if stage not in stages:
            raise ValueError(f"{where} stage is {stage!r}; it must be one of {', '.join(sorted(stages))}")
        if not re.fullmatch("[0-9]{1,9}", seconds) or not 0 < int(seconds) <= LONGEST_SECONDS:
            raise ValueError(f"{where} seconds is {seconds!r}; it must be a whole number from 1 to {LONGEST_SECONDS}")
        key = (unit, Urgency(urgency), Stage(stage))
        if key in rules:
            raise ValueError(f"{where} says again how long {unit} has for {stage}, urgency {urgency}")
        rules[key] = int(seconds)
    return rules


def unit_paths(units: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return each unit's path from the top; raise `ValueError` where a parent is missing or in a circle."""
    parents = {unit["code"]: unit["parent"] for unit in units}

    def path(code: str) -> str:
        way: list[str] = []
        while code:
            if code not in parents or code in way or len(way) >= LEVELS:
                raise ValueError(f"unit {code!r}: its parents are missing, in a circle, or more than {LEVELS} levels")
            way.append(code)
            code = parents[code]
        return "/" + "/".join(reversed(way)) + "/"

    return {code: path(code) for code in parents}


async def add_officer(connection: RawConnection, name: str, unit: str, role: str, token: str) -> None:
    """Let an officer in; a further call replaces unit, role and token."""
    await connection.execute(
        """
        insert into officer (id, name, unit, role, token_sha256) values ($1, $2, $3, $4, $5)
        on conflict (name) do update
        set unit = excluded.unit, role = excluded.role, token_sha256 = excluded.token_sha256, revoked_at = null
        """,
        new_id(),
        name,
        unit,
        role,
        fingerprint(token),
    )


async def officers(connection: RawConnection, unit: str = "") -> list[Row]:
    """Return the officers who are let in (name, unit, role): all, or those of a unit and of the units below it."""
    return await connection.fetch(
        """
        select o.name, o.unit, o.role from officer o join unit u on u.code = o.unit
        where o.revoked_at is null and ($1 = '' or starts_with(u.path, (select path from unit where code = $1)))
        order by u.path, o.role, o.name
        """,
        unit,
    )


async def revoke_officer(connection: RawConnection, name: str) -> bool:
    """Let an officer in no longer. Return whether there was one to revoke."""
    done = await connection.fetchval(
        "update officer set revoked_at = now() where name = $1 and revoked_at is null returning true", name
    )
    return bool(done)


async def add_webhook(connection: RawConnection, identity: Seal, unit: str, url: str, secret: str) -> UUID:
    """Send a unit's alerts to a URL, signed with a secret (`whsec_…`). Return the webhook's id.

    Raises `ValueError` where nothing could be sent with these.
    """
    return await targets.add(connection, identity, (Owner.UNIT, unit), Channel.WEBHOOK, url, secret)


async def remove_webhook(connection: RawConnection, webhook_id: UUID) -> bool:
    """Send nothing more to a webhook; what is on its way to it ends. Return whether there was one."""
    return await target_store.remove_target(connection, webhook_id)


def _rows(path: Path) -> list[Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
