"""When each bank reported last: kept in the table of banks, so that a restart does not forget it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client import Gauge

from services.intake import store
from shared.metrics import show
from shared.postgres import Pool
from shared.tally import first_id

LOOK_EVERY_SECONDS: Final = 5.0
OVERLAP: Final = timedelta(seconds=60)
"""A report may be committed, or its replica's clock be behind, by so much: it is not missed for that."""

LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


class LastReports:
    """Looks through the reports that are new, and shows when each bank's newest one was filed."""

    def __init__(self, pool: Pool, gauge: Gauge) -> None:
        self._pool = pool
        self._gauge = gauge

    async def look(self) -> None:
        """Look, and wait until it is time to look again. What came while nobody looked is looked at first."""
        newest = max((await store.last_reports(self._pool)).values(), default=LONG_AGO)
        await store.note_last_reports(self._pool, first_id(newest - OVERLAP))
        last = await store.last_reports(self._pool)
        show(self._gauge, {(bank,): at.timestamp() for bank, at in last.items()})
        await asyncio.sleep(LOOK_EVERY_SECONDS)
