"""What a service shows of itself while its database says nothing."""

import random

from tests.faults.proxy import Way, line_to_database
from tests.parts import DatabaseServer, intake_door

SCRAPE_SECONDS = 10
"""So long Prometheus waits, by deploy/prometheus/prometheus.yml."""


async def test_a_database_that_falls_silent_is_told_before_prometheus_gives_up(server: DatabaseServer) -> None:
    dsn = await server.clone("intake")
    dice = random.Random(6)  # noqa: S311 - dice
    async with line_to_database(dsn, dice) as (line, through), intake_door(through) as door:
        assert "lanjie_database_up 1.0" in (await door.client.get("/metrics")).text
        line.cut(*Way)
        try:
            assert "lanjie_database_up 0.0" in (await door.client.get("/metrics", timeout=SCRAPE_SECONDS)).text
        finally:
            line.mend()
