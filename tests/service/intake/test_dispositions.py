"""Dispositions at the banks' door: how a visit to the counter ended."""

from uuid import UUID

import pytest
from httpx2 import Response

from services.intake import hearing
from shared.events import DispositionCounted, DispositionRecorded
from shared.outbox import new_id
from tests.parts import Door, bank
from tests.service.intake.counter import event_of, fields_of, filed, metric, no_trace, owed, problem_of, shown

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("outcome", ["cancelled", "proceeded", "already_sent"])
async def test_a_disposition_is_recorded_shown_and_owed_until_the_ledger_counts_it(shared: Door, outcome: str) -> None:
    report_id, body = await filed(shared), {"outcome": outcome, "amount_fen": 9_800_000}
    event = await event_of(shared, report_id)
    answer = await dispose(shared, report_id, body)
    assert answer.status_code == 200
    receipt = answer.json()
    assert (receipt["report_id"], receipt["status"]) == (str(report_id), "recorded")
    assert (await shown(shared, report_id))["disposition"] == body
    [row] = await shared.rows("select payload, awaits_answer, key from outbox where id = $1", UUID(receipt["id"]))
    told = DispositionRecorded.model_validate_json(row["payload"])
    assert (told.report_id, told.payee_token, told.outcome, told.amount_fen) == (
        report_id,
        event.payee_token,
        outcome,
        9_800_000,
    )
    assert (row["awaits_answer"], row["key"]) == (True, event.payee_token)
    counted = DispositionCounted(disposition_id=told.disposition_id, report_id=report_id, case_id=None)
    await hearing.hear(shared.pool, [counted])
    assert not await owed(shared, told.disposition_id)


async def dispose(door: Door, report_id: UUID, body: object, code: str = "ICBC") -> Response:
    return await door.client.post(f"/v1/reports/{report_id}/disposition", json=body, headers=bank(code))


async def test_the_same_disposition_again_gets_the_same_answer_and_is_counted_once(shared: Door) -> None:
    report_id, body = await filed(shared), {"outcome": "cancelled", "amount_fen": 9_000_000}
    before = await metric(shared, "lanjie_dispositions_total", bank="ICBC", outcome="cancelled")
    first = await dispose(shared, report_id, body)
    async with no_trace(shared):
        again = await dispose(shared, report_id, dict(reversed(body.items())))
    assert (first.status_code, again.status_code, again.text) == (200, 200, first.text)
    assert await metric(shared, "lanjie_dispositions_total", bank="ICBC", outcome="cancelled") == before + 1


@pytest.mark.parametrize("change", [{"outcome": "proceeded"}, {"amount_fen": 1}, {"outcome": "already_sent"}])
async def test_another_disposition_of_the_same_report_is_refused(shared: Door, change: dict[str, object]) -> None:
    report_id, body = await filed(shared), {"outcome": "cancelled", "amount_fen": 9_000_000}
    first = await dispose(shared, report_id, body)
    async with no_trace(shared):
        problem_of(await dispose(shared, report_id, {**body, **change}), 409)
    assert (await dispose(shared, report_id, body)).text == first.text


async def test_a_foreign_report_can_be_disposed_of_by_nobody_but_its_bank(shared: Door) -> None:
    report_id, body = await filed(shared), {"outcome": "cancelled", "amount_fen": 1}
    async with no_trace(shared):
        problem_of(await dispose(shared, report_id, body, code="CCB"), 404)
        problem_of(await dispose(shared, new_id(), body), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"outcome": "cancelled", "amount_fen": 9_800_001}, "amount_fen"),
        ({"outcome": "cancelled", "amount_fen": -1}, "amount_fen"),
        ({"outcome": "cancelled", "amount_fen": 1.5}, "amount_fen"),
        ({"outcome": "cancelled", "amount_fen": True}, "amount_fen"),
        ({"outcome": "cancelled", "amount_fen": "1"}, "amount_fen"),
        ({"outcome": "cancelled"}, "amount_fen"),
        ({"amount_fen": 1}, "outcome"),
        ({"outcome": "gave up", "amount_fen": 1}, "outcome"),
        ({"outcome": None, "amount_fen": 1}, "outcome"),
        ({"outcome": "cancelled", "amount_fen": 1, "note": "x"}, "note"),
    ],
)
async def test_a_disposition_that_cannot_be_accepted_is_named_by_field(
    shared: Door, body: dict[str, object], field: str
) -> None:
    report_id = await filed(shared)
    async with no_trace(shared):
        document = problem_of(await dispose(shared, report_id, body), 422)
    assert fields_of(document) == {field}


async def test_nothing_and_everything_may_have_been_averted(shared: Door) -> None:
    for amount in (0, 9_800_000):
        answer = await dispose(shared, await filed(shared), {"outcome": "cancelled", "amount_fen": amount})
        assert answer.status_code == 200
