"""The examples of requests in the banks' document are accepted by the door, and answered as the document shows."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.intake.app import EXAMPLES
from tests.parts import Door, a_key, a_report, bank
from tests.service.intake.counter import ordered, post

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITTEN: dict[str, Any] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
REQUESTS = [(call, name) for call, one in WRITTEN.items() for name in one.get("request", {})]


def request(call: str, name: str) -> dict[str, Any]:
    value: dict[str, Any] = WRITTEN[call]["request"][name]["value"]
    return value


async def about(door: Door, call: str, body: dict[str, Any]) -> tuple[str, str]:
    """Put there what a request is about; return its address and the bank that sends it."""
    match call:
        case "post_report":
            return "/v1/reports", "ICBC"
        case "post_batch":
            return "/v1/reports/batch", "ICBC"
        case "post_disposition":
            answer = await post(door, a_report(transfer__amount_fen=9_800_000))
            return f"/v1/reports/{answer.json()['id']}/disposition", "ICBC"
        case _:
            at = datetime.fromisoformat(body.get("executed_at") or "2026-11-22T09:40:00+08:00")
            order = await ordered(door, ordered_at=at - timedelta(minutes=1))
            return f"/v1/orders/{order.order_id}/feedback", "CCB"


@pytest.mark.parametrize(("call", "name"), REQUESTS, ids=lambda part: part)
async def test_an_example_of_a_request_is_accepted_and_answered_as_shown(shared: Door, call: str, name: str) -> None:
    body = request(call, name)
    path, code = await about(shared, call, body)
    kind = "application/x-ndjson" if call == "post_batch" else "application/json"
    headers = bank(code, **{"Idempotency-Key": a_key(), "Content-Type": kind})
    answer = await shared.client.post(path, content=json.dumps(body).encode(), headers=headers)
    assert answer.is_success, answer.text
    shown = next(iter(WRITTEN[call]["answers"][str(answer.status_code)].values()))["value"]
    assert answer.json().keys() == shown.keys()


async def test_every_call_with_a_body_has_an_example() -> None:
    assert {call for call, _ in REQUESTS} == {"post_report", "post_batch", "post_disposition", "post_feedback"}
