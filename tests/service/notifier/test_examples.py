"""The examples of requests in the police's document are accepted by the door, and answered as the document shows."""

import json
from typing import Any

import pytest

from services.notifier.app import EXAMPLES
from tests.parts import Door
from tests.service.notifier.builders import a_success, a_verdict, an_account, hear
from tests.service.notifier.police import COUNTY, CUIZHU, a_case, close, done, new_case, ordered
from tests.service.notifier.reach import CUIZHU_OFFICER, on_duty

WRITTEN: dict[str, Any] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
CASE_STEPS = {
    "post_take_over": "take-over",
    "post_note": "notes",
    "post_attachment": "attachments",
    "post_unmask": "unmask",
    "post_objection": "objections",
    "post_close": "close",
    "post_transfer": "transfer",
    "post_order": "orders",
    "post_link": "link",
    "post_split": "split",
    "post_reopen": "reopen",
}
REQUESTS = [
    (call, name) for call, one in WRITTEN.items() if call not in ("shared", "post_alert_link")
    for name in one.get("request", {})
]  # fmt: skip


async def about(door: Door, call: str, name: str, body: dict[str, Any]) -> str:
    """Put there what a request is about, with its ids in the body; return the address."""
    verdicts = [a_verdict(account := an_account()), a_verdict(account)]
    case_id = await a_case(door, *verdicts)
    if call == "post_link":
        body["case_id"] = await new_case(door)
    if call == "post_split":
        body["report_ids"] = [str(verdicts[1].report.report_id)]
    if call == "post_reopen":
        await close(door, case_id)
    if name == "freeze":
        await hear(door.pool, a_success(await ordered(door, case_id)))
    match call:
        case "post_reject":
            await hear(door.pool, a_success(await ordered(door, case_id)))
            proposed = await ordered(door, case_id, "freeze", amount_fen=100)
            return f"/v1/orders/{proposed['id']}/reject"
        case "post_answer":
            seen = await done(door, case_id, "objections", by="持卡人", text="x")
            return f"/v1/objections/{seen['objections'][0]['id']}/answer"
        case "post_hand_over":
            await on_duty(door.pool, CUIZHU_OFFICER, since=-2, hours=12)
            await door.pool.execute("update officer set unit = 'SZ-LH-CZ' where name = $1", body["to"])
            return "/v1/duty/hand-over"
        case _:
            return f"/v1/cases/{case_id}/{CASE_STEPS[call]}"


def resolved(example: dict[str, Any]) -> Any:  # noqa: ANN401
    """The value of an example, its own or the one it refers to."""
    shared = WRITTEN["shared"]
    return (shared[example["$ref"].rpartition("/")[2]] if "$ref" in example else example)["value"]


@pytest.mark.parametrize(("call", "name"), REQUESTS, ids=lambda part: part)
async def test_an_example_of_a_request_is_accepted_and_answered_as_shown(notifier: Door, call: str, name: str) -> None:
    body = json.loads(json.dumps(WRITTEN[call]["request"][name]["value"]))
    path = await about(notifier, call, name, body)
    who = COUNTY if call in ("post_reject", "post_answer") else CUIZHU
    answer = await notifier.client.post(path, json=body, headers=who)
    assert answer.is_success, answer.text
    shown = resolved(next(iter(WRITTEN[call]["answers"][str(answer.status_code)].values())))
    if call != "post_unmask":  # its names are those of the reports
        assert answer.json().keys() == shown.keys()
