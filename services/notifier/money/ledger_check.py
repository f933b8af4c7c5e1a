"""The ledger checked while it grows: what was booked or changed since the last check, and what differed then.

`lanjie ledger verify` looks at all there is, and for entries of what is not there; this looks every few minutes at what
a defect of today would have spoilt. Reads only.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from services.notifier.money import verify_store, verifying
from services.notifier.money.verifying import Verified
from shared.postgres import Connection, Pool

log = structlog.get_logger()

REPORTS_AT_ONCE: Final = 200
"""A page of so many, or of the cases that have so many, is compared in milliseconds, so that nobody else waits."""

RESTS: Final = 4
"""After each page so many times as long as it took: the check takes a fifth of a processor, and more minutes."""

SLICE: Final = timedelta(seconds=30)
"""What was booked in so long is read at once: what is booked between two checks may be more than memory should hold."""

MOST_AGAIN: Final = 1000
"""So many cases and reports that differed are looked at again; more than that are too many to be counted."""


async def check(pool: Pool, before: Mapping[str, Any], since: datetime, until: datetime) -> dict[str, object]:
    """Return how many differences there are, and the cases and reports to look at again, in JSON's terms.

    `before` is what this returned the last time.
    """
    found = Verified()
    async with pool.acquire() as connection:
        found.kept_since = await verify_store.answers_kept_since(connection)
    cases = _ids(before, "cases")
    again_reports = await _check_reports(pool, found, sorted(_ids(before, "reports")))
    for begin, end in _slices(since, until):
        async with pool.acquire() as connection:
            rows = await verify_store.touched(connection, begin, end)
        cases |= {row["case_id"] for row in rows if row["case_id"]}
        again_reports += await _check_reports(pool, found, [row["report_id"] for row in rows if row["report_id"]])
    again_cases = await _check_cases(pool, found, sorted(cases))
    off = await _totals_off(pool)
    number = len(set(found.differences)) + off  # a report that was booked twice was looked at twice
    if number:
        log.error("ledger_differs", differences=number, first=[one.about for one in found.differences[:10]])
    return {
        "differences": number,
        "cases": [str(one) for one in again_cases[:MOST_AGAIN]],
        "reports": [str(one) for one in again_reports[:MOST_AGAIN]],
    }


def _slices(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    while since < until:
        yield since, min(since + SLICE, until)
        since += SLICE


async def _check_reports(pool: Pool, found: Verified, report_ids: Sequence[UUID]) -> list[UUID]:
    """Compare reports, of which those in a case are left to it; return the ids of pages in which something differs."""
    pages = verifying.pages(report_ids, lambda _: 1, REPORTS_AT_ONCE)
    return await _differing(pool, found, pages, _verify_reports)


async def _check_cases(pool: Pool, found: Verified, case_ids: Sequence[UUID]) -> list[UUID]:
    """Compare cases with all they share a book with; return the ids of pages in which something differs."""
    async with pool.acquire() as connection:
        roots = await verify_store.roots_of(connection, case_ids)
        pages = await verifying.pages_of_cases(connection, roots, REPORTS_AT_ONCE)
    return await _differing(pool, found, [[root["id"] for root in page] for page in pages], _verify_cases)


async def _differing(
    pool: Pool,
    found: Verified,
    pages: Iterable[Sequence[UUID]],
    verify: Callable[[Connection, Sequence[UUID], Verified], Awaitable[None]],
) -> list[UUID]:
    """Verify page by page, each as it stands at one moment; return the ids of pages in which something differs."""
    again: list[UUID] = []
    for page in pages:
        began, known = time.monotonic(), len(found.differences)
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            await verify(connection, page, found)
        if len(found.differences) > known:
            again += page
        await asyncio.sleep((time.monotonic() - began) * RESTS)
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
