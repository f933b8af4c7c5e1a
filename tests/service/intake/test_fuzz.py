"""Whatever is sent, the answer is one that was thought of."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.parts import Door, a_report
from tests.service.intake.counter import post, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

THOUGHT_OF = {202, 400, 409, 413, 422}
TRY = settings(
    max_examples=200,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TEXT = some.text(max_size=60) | some.sampled_from(
    ["", "\0", "\ud800", "２", "\u202e", "CNY", "1e5", "9" * 19, "x" * 3000]
)
SCALAR = some.none() | some.booleans() | some.integers() | some.floats() | TEXT
JSON = some.recursive(SCALAR, lambda inner: some.lists(inner) | some.dictionaries(TEXT, inner), max_leaves=8)
PATHS = [(name,) for name in a_report()] + [
    (name, inner) for name, value in a_report().items() if isinstance(value, dict) for inner in value
]


@some.composite
def mutated(draw: some.DrawFn) -> dict[str, Any]:
    """Draw a report with up to three fields replaced, left out, or added."""
    body = a_report()
    for path in draw(some.lists(some.sampled_from(PATHS), max_size=3, unique=True)):
        place: Any = body if len(path) == 1 else body.get(path[0])
        if not isinstance(place, dict):
            continue
        match draw(some.sampled_from(["replace", "leave out", "add"])):
            case "replace":
                place[path[-1]] = draw(JSON)
            case "leave out":
                place.pop(path[-1], None)
            case "add":
                place[draw(TEXT)] = draw(JSON)
    return body


@TRY
@given(body=mutated(), plain=some.booleans())
async def test_no_altered_report_breaks_the_door(shared: Door, body: dict[str, Any], plain: bool) -> None:  # noqa: FBT001
    content = json.dumps(body, ensure_ascii=not plain).encode("utf-8", "surrogatepass")
    answer = await post(shared, content)
    assert answer.status_code in THOUGHT_OF
    if answer.status_code != 202:
        problem_of(answer, answer.status_code)


@TRY
@given(data=some.data())
async def test_no_altered_bytes_break_the_door(shared: Door, data: some.DataObject) -> None:
    content = bytearray(json.dumps(a_report()).encode())
    for _ in range(data.draw(some.integers(1, 4))):
        start = data.draw(some.integers(0, len(content)))
        content[start : start + data.draw(some.integers(0, 30))] = data.draw(some.binary(max_size=8))
    answer = await post(shared, bytes(content))
    assert answer.status_code in THOUGHT_OF
    if answer.status_code != 202:
        problem_of(answer, answer.status_code)


@TRY
@given(key=some.text(some.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=200))
async def test_no_key_breaks_the_door(shared: Door, key: str) -> None:
    told = {"Authorization": "Bearer lanjie_bank_test-ICBC", "Content-Type": "application/json"}
    headers = {name.encode(): value.encode() for name, value in told.items()}
    headers[b"Idempotency-Key"] = key.strip().encode("latin-1")
    answer = await shared.client.post("/v1/reports", json=a_report(), headers=headers)
    assert answer.status_code in {202, 400, 422}
