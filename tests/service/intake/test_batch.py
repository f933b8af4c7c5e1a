"""Many reports in one request: each line by itself."""

import json
from typing import Any

import pytest

from services.intake.batch import LIMIT_BYTES, MOST_LINES
from tests.parts import Door, a_key, a_report, bank
from tests.service.intake.counter import fields_of, no_trace, post, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


def a_line(key: str | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"idempotency_key": key or a_key(), **a_report(**changes)}


async def sent(door: Door, *lines: object, code: str = "ICBC") -> list[dict[str, Any]]:
    """Post a batch of lines (bytes as they are, anything else as JSON) and return the answer's lines."""
    content = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    headers = bank(code, **{"Content-Type": "application/x-ndjson"})
    answer = await door.client.post("/v1/reports/batch", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["line"] for line in told] == list(range(1, len(told) + 1))
    return told


async def test_each_line_of_a_batch_is_filed_and_answered(shared: Door) -> None:
    lines = [a_line() for _ in range(120)]
    told = await sent(shared, *lines)
    assert [line["code"] for line in told] == [202] * 120
    assert [line["idempotency_key"] for line in told] == [line["idempotency_key"] for line in lines]
    rows = await shared.rows(
        "select r.idempotency_key, r.id::text, o.awaits_answer from report r join outbox o using (id) "
        "where idempotency_key = any($1)",
        [line["idempotency_key"] for line in lines],
    )
    assert {row["idempotency_key"]: row["id"] for row in rows} == {line["idempotency_key"]: line["id"] for line in told}
    assert all(row["awaits_answer"] for row in rows)


SPOILED: dict[str, tuple[object, int]] = {
    "not JSON": (b"{", 400),
    "invalid UTF-8": (b'{"note": "\xff"}', 400),
    "a name twice": (b'{"note": "", "note": ""}', 400),
    "array": ([], 422),
    "no key": (a_report(), 422),
    "key that is no text": ({**a_report(), "idempotency_key": 7}, 422),
    "malformed key": (a_line("a key"), 400),
    "key with a newline": (a_line("k\n"), 400),
    "key of 129 characters": (a_line("k" * 129), 400),
    "field": (a_line(transfer__amount_fen=0), 422),
    "unknown field": ({**a_line(), "colour": "red"}, 422),
    "branch of another bank": (a_line(branch_code="CCB-SZ-LH-001"), 422),
    "huge": (a_line(note="说" * 30_000), 413),
}


@pytest.mark.parametrize(("line", "code"), SPOILED.values(), ids=SPOILED)
async def test_a_bad_line_spoils_only_itself(shared: Door, line: object, code: int) -> None:
    before, after = a_line(), a_line()
    stored = await shared.count("report")
    told = await sent(shared, before, line, after)
    assert [one["code"] for one in told] == [202, code, 202]
    problem = told[1]["problem"]
    assert (problem["status"], bool(problem["detail"]), "id" in told[1]) == (code, True, False)
    assert await shared.count("report") == stored + 2


async def test_a_bad_lines_problem_names_the_field_and_quotes_nothing(shared: Door) -> None:
    [told] = await sent(shared, a_line(payer__account="62220200000000SECRET", cues=["safe_account", "unheard_of"]))
    assert fields_of(told["problem"]) == {"payer.account"}
    assert "SECRET" not in json.dumps(told)
    [told] = await sent(shared, a_line(cues=["safe_account", "unheard_of"]))
    assert fields_of(told["problem"]) == {"cues.1"}
    assert "unheard_of" not in json.dumps(told)


async def test_a_batch_sent_again_gets_the_same_answer_and_stores_nothing(shared: Door) -> None:
    lines = [a_line() for _ in range(5)]
    first = await sent(shared, *lines)
    async with no_trace(shared):
        assert await sent(shared, *lines) == first


async def test_a_key_repeated_within_a_batch_gets_the_same_answer_if_it_says_the_same(shared: Door) -> None:
    line = a_line()
    stored = await shared.count("report")
    one, other, again = await sent(shared, line, {**line, "note": "另一份"}, dict(reversed(line.items())))
    assert (one["code"], other["code"], again["code"]) == (202, 422, 202)
    assert one["id"] == again["id"]
    assert fields_of(other["problem"]) == {"Idempotency-Key"}
    assert await shared.count("report") == stored + 1


async def test_a_reference_repeated_within_a_batch_is_filed_once(shared: Door) -> None:
    line = a_line()
    one, other = sorted(await sent(shared, line, {**line, "idempotency_key": a_key()}), key=lambda told: told["code"])
    assert (one["code"], other["code"]) == (202, 409)
    assert other["problem"]["existing_id"] == one["id"]


async def test_a_line_and_a_single_post_of_the_same_facts_are_the_same_report(shared: Door) -> None:
    first_single, first_line = a_line(), a_line()
    single = await post(shared, report_in(first_single), key=first_single["idempotency_key"])
    [line] = await sent(shared, first_single)
    assert (single.json()["id"], line["code"]) == (line["id"], 202)
    [line] = await sent(shared, first_line)
    single = await post(shared, report_in(first_line), key=first_line["idempotency_key"])
    assert (single.status_code, single.json()["id"]) == (202, line["id"])


def report_in(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "idempotency_key"}


async def test_two_banks_may_send_the_same_keys_in_batches(shared: Door) -> None:
    key = a_key()
    [ours] = await sent(shared, a_line(key))
    [theirs] = await sent(shared, a_line(key, branch_code="CCB-SZ-LH-001"), code="CCB")
    assert (ours["code"], theirs["code"]) == (202, 202)
    assert ours["id"] != theirs["id"]


async def test_empty_lines_and_carriage_returns_are_no_lines_of_their_own(shared: Door) -> None:
    body = json.dumps(a_line()).encode()
    assert [line["code"] for line in await sent(shared, b"", body + b"\r", b"  ", b"\r", b"")] == [202]
    assert await sent(shared) == []


async def test_a_batch_of_too_many_lines_is_refused_whole(shared: Door) -> None:
    headers = bank(**{"Content-Type": "application/x-ndjson"})
    async with no_trace(shared):
        content = b"{}\n" * MOST_LINES + json.dumps(a_line()).encode()
        problem_of(await shared.client.post("/v1/reports/batch", content=content, headers=headers), 413)
    answer = await shared.client.post("/v1/reports/batch", content=b"{}\n" * MOST_LINES, headers=headers)
    assert len(answer.text.splitlines()) == MOST_LINES


async def test_a_batch_of_too_many_bytes_is_refused_whole(shared: Door) -> None:
    headers = bank(**{"Content-Type": "application/x-ndjson"})
    content = json.dumps(a_line()).encode() + b"\n" + b" " * LIMIT_BYTES
    async with no_trace(shared):
        problem_of(await shared.client.post("/v1/reports/batch", content=content, headers=headers), 413)


async def test_a_batch_of_another_content_type_is_refused(shared: Door) -> None:
    async with no_trace(shared):
        answer = await shared.client.post("/v1/reports/batch", content=json.dumps(a_line()), headers=bank())
        problem_of(answer, 415)
