"""Upkeep of notifier's tables: what is over, and proves nothing that the timeline does not, is forgotten in time.

Any replica may do it, at any time and together with others: each page is a transaction that takes rows nobody holds.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from shared.postgres import Pool
from shared.upkeep import every_hour

PAGE: Final = 10_000


@asynccontextmanager
async def kept_up(pool: Pool, kept: timedelta) -> AsyncIterator[None]:
    """Forget every hour what was over `kept` ago, for as long as the context lasts."""
    task = asyncio.create_task(every_hour(lambda now: keep_up(pool, now - kept)))
    try:
        yield
    finally:
        task.cancel()  # a page that was half done is undone
        await asyncio.gather(task, return_exceptions=True)


async def keep_up(pool: Pool, before: datetime, page: int = PAGE) -> int:
    """Delete deliveries that were settled, deadlines that ended and alerts that were posted before a moment.

    Alerts of cases that nobody has acknowledged stay: whoever comes on duty is told of them. Returns how many rows
    went.
    """
    deleted = 0
    for delete in (_delete_deliveries, _delete_deadlines, _delete_alerts):
        deleted += await _all_pages(delete, pool, before, page)
    return deleted


async def _all_pages(
    delete: Callable[[Pool, datetime, int], Awaitable[int]], pool: Pool, before: datetime, page: int
) -> int:
    deleted = done = await delete(pool, before, page)
    while done == page:
        done = await delete(pool, before, page)
        deleted += done
    return deleted


async def _delete_deliveries(pool: Pool, before: datetime, most: int) -> int:
    done = await pool.execute(
        """
        delete from delivery where id = any(array(
            -- as an array: the planner, which does not know how short the page is, would join it with the whole table
            select id from delivery where settled_at < $1 order by settled_at limit $2 for update skip locked
        ))
        """,
        before,
        most,
    )
    return _number(done)


async def _delete_deadlines(pool: Pool, before: datetime, most: int) -> int:
    done = await pool.execute(
        """
        delete from deadline where id = any(array(
            select id from deadline where ended_at < $1 order by ended_at limit $2 for update skip locked
        ))
        """,
        before,
        most,
    )
    return _number(done)


async def _delete_alerts(pool: Pool, before: datetime, most: int) -> int:
    done = await pool.execute(
        """
        delete from alert where id = any(array(
            select a.id from alert a
            where a.created_at < $1
              and not exists (select from fraud_case c where c.id = a.case_id and c.status = 'open')
            limit $2 for update of a skip locked
        ))
        """,
        before,
        most,
    )
    return _number(done)


def _number(done: str) -> int:
    """Read how many rows a statement deleted."""
    return int(done.removeprefix("DELETE "))
