"""How the server ran what a service asked of it, and whether that was by a few rows found through an index."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.postgres import Pool, RawConnection

FILLING = "set auto_explain.log_min_duration = -1; set session_replication_role = replica"
"""Unexplained, without triggers and foreign keys: the rows are what they should be."""


@dataclass(frozen=True, slots=True)
class Full:
    """A database with a million reports, and where its server writes the plans of what runs there."""

    pool: Pool
    log: Path

    async def plans_of(self, work: Callable[[], Awaitable[object]]) -> list[dict[str, Any]]:
        """Do it; return how the server ran each statement for it, those of foreign keys too.

        Not what asyncpg asks about types, once a connection.
        """
        begin = self.log.stat().st_size
        await work()
        text = self.log.read_bytes()[begin:].decode()
        told = re.split(r"^.*LOG:  duration: .* plan:$", text, flags=re.MULTILINE)[1:]
        read = json.JSONDecoder().raw_decode
        plans = [read(one.replace("\n\t", "\n").lstrip())[0] for one in told]
        return [plan for plan in plans if "typeinfo_tree" not in plan["Query Text"]]


async def explain_all(connection: RawConnection) -> None:
    """Have the server write how it runs each statement of connections to this database from now on."""
    name = await connection.fetchval("select current_database()")
    for setting in (
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_analyze = on",
        "auto_explain.log_buffers = on",
        "auto_explain.log_timing = off",
        "auto_explain.log_nested_statements = on",
        "auto_explain.log_format = json",
    ):
        await connection.execute(f"alter database {name} set {setting}")


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all nodes of a plan."""
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def statements(plans: Sequence[dict[str, Any]]) -> str:
    """Return the text of all statements."""
    return "\n".join(plan["Query Text"] for plan in plans)


def read_by_index(plans: Sequence[dict[str, Any]], most_pages: int, small: set[str]) -> None:
    """Refuse a table read from end to end, an index walked so, and more pages than so many for one statement.

    Tables in `small` are no longer for a million reports.
    """
    assert plans
    for plan in plans:
        for node in nodes(plan["Plan"]):
            if "Relation Name" in node and node["Relation Name"] not in small:
                assert node["Node Type"] != "Seq Scan", plan["Query Text"]
                read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                assert read * node["Actual Loops"] <= most_pages or node["Node Type"] == "ModifyTable", (
                    read,
                    node["Node Type"],
                    node["Relation Name"],
                    node.get("Index Name"),
                    plan["Query Text"],
                )
        pages = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        assert pages <= most_pages, (pages, plan["Query Text"])
