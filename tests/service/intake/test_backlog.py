"""The door closes for new reports while too many wait for the rest of the chain, and opens again by itself."""

import asyncio

from httpx2 import Response

from services.intake import hearing
from shared.events import Level, ReportsCounted
from tests.parts import DatabaseServer, Door, a_key, a_report, bank, intake_door
from tests.service.intake.counter import a_verdict, event_of, filed, metric, no_trace, post, problem_of, shown

MOST = 3


async def answered_with(door: Door, status: int) -> Response:
    """Post reports until one is answered with a status."""
    async with asyncio.timeout(30):
        while (answer := await post(door, a_report())).status_code != status:  # noqa: ASYNC110 - it looks by itself
            await asyncio.sleep(0.05)
    return answer


async def test_with_too_many_unanswered_new_reports_are_refused_and_the_rest_of_the_door_works(
    server: DatabaseServer,
) -> None:
    async with intake_door(await server.clone("intake"), most_unanswered=MOST) as door:
        first = await filed(door)
        refused = await answered_with(door, 503)
        assert problem_of(refused, 503)["detail"] == "Too many reports wait to be judged; send this again shortly."
        assert int(refused.headers["retry-after"]) > 0
        async with no_trace(door):
            batch = await door.client.post(
                "/v1/reports/batch", content=b"{}", headers=bank(**{"Content-Type": "application/x-ndjson"})
            )
            assert batch.status_code == 503
            assert (await post(door, a_report(), key=a_key())).status_code == 503
        assert (await shown(door, first))["status"] == "received"
        assert await metric(door, "lanjie_unanswered") == MOST


async def test_the_door_opens_again_once_the_answers_are_back(server: DatabaseServer) -> None:
    async with intake_door(await server.clone("intake"), most_unanswered=MOST) as door:
        await filed(door)
        await answered_with(door, 503)
        rows = await door.rows("select id from report")
        for row in rows:
            verdict = a_verdict(await event_of(door, row["id"]), Level.CLEAR)
            await hearing.hear(door.pool, [verdict, ReportsCounted(report_ids=(row["id"],))])
        assert await door.count("outbox") == 0
        await answered_with(door, 202)
