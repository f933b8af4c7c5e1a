"""The ledger checked while it grows: what was booked or changed since the last check, and what differed then.

`lanjie ledger verify` looks at all there is, and for entries of what is not there; this looks every few minutes at what
a defect of today would have spoilt. Reads only.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from services.notifier.money import verify_store, verifying
from services.notifier.money.verifying import Verified
from shared.postgres import Connection, Pool

log = structlog.get_logger()

CASES_AT_ONCE: Final = 50
REPORTS_AT_ONCE: Final = 200
"""A page is compared in milliseconds, so that nobody else waits for it."""

MOST_AGAIN: Final = 1000
"""So many cases and reports that differed are looked at again; more than that are too many to be counted."""


async def check(pool: Pool, before: Mapping[str, Any], since: datetime, until: datetime) -> dict[str, object]:
    """Return how many differences there are, and the cases and reports to look at again, in JSON's terms.

    `before` is what this returned the last time.
    """
    found = Verified()
    async with pool.acquire() as connection:
        rows = await verify_store.touched(connection, since, until)
        found.kept_since = await verify_store.answers_kept_since(connection)
        cases = {row["case_id"] for row in rows if row["case_id"]} | _ids(before, "cases")
        roots = [row["id"] for row in await verify_store.roots_of(connection, sorted(cases))]
    reports = {row["report_id"] for row in rows if row["report_id"]} | _ids(before, "reports")
    again_cases = await _pages(pool, found, roots, CASES_AT_ONCE, _verify_cases)
    again_reports = await _pages(pool, found, sorted(reports), REPORTS_AT_ONCE, _verify_reports)
    off = await _totals_off(pool)
    number = len(found.differences) + off
    if number:
        log.error("ledger_differs", differences=number, first=[one.about for one in found.differences[:10]])
    return {
        "differences": number,
        "cases": [str(one) for one in again_cases[:MOST_AGAIN]],
        "reports": [str(one) for one in again_reports[:MOST_AGAIN]],
    }


async def _pages(
    pool: Pool,
    found: Verified,
    ids: Sequence[UUID],
    size: int,
    verify: Callable[[Connection, Sequence[UUID], Verified], Awaitable[None]],
) -> list[UUID]:
    """Verify page by page, each as it stands at one moment; return the ids of pages in which something differs."""
    again: list[UUID] = []
    for first in range(0, len(ids), size):
        page, known = ids[first : first + size], len(found.differences)
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            await verify(connection, page, found)
        if len(found.differences) > known:
            again += page
    return again


async def _verify_cases(connection: Connection, ids: Sequence[UUID], found: Verified) -> None:
    await verifying.verify_cases(connection, await verify_store.roots_of(connection, ids), found)


async def _verify_reports(connection: Connection, ids: Sequence[UUID], found: Verified) -> None:
    await verifying.verify_loose(connection, await verify_store.loose_among(connection, ids), found)


async def _totals_off(pool: Pool) -> int:
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        await verify_store.read_whole(connection)
        return len(await verify_store.totals_off(connection))


def _ids(before: Mapping[str, Any], name: str) -> set[UUID]:
    return {UUID(one) for one in before.get(name, ())}
