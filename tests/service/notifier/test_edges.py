"""What the police's document says of times, texts and methods is what the door does."""

import pytest

from tests.parts import Door
from tests.service.notifier.police import CITY, does, give, new_case


@pytest.mark.parametrize("since", ["0.5", "1700000000", "2026-11-22", "now"])
async def test_a_number_is_no_time(notifier: Door, since: str) -> None:
    for path in ("/v1/cases", "/v1/branches/unfounded"):
        answer = await notifier.client.get(path, params={"since": since}, headers=CITY)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == "query.since"


async def test_digits_are_no_time_in_a_body_either(notifier: Door) -> None:
    answer = await give(notifier, await new_case(notifier), bank_stopped_at="1700000000")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["bank_stopped_at"]


async def test_blanks_around_a_text_count_in_its_length_and_are_left_out(notifier: Door) -> None:
    case_id = await new_case(notifier)
    assert (await does(notifier, case_id, "notes", text=f"  {'字' * 1999}")).status_code == 422
    taken = await does(notifier, case_id, "notes", text=f"  {'字' * 1998}")
    assert taken.json()["notes"][-1]["text"] == "字" * 1998


@pytest.mark.parametrize("text", ["", " ", "\n\t", "　"])
async def test_a_blank_text_says_nothing(notifier: Door, text: str) -> None:
    answer = await does(notifier, await new_case(notifier), "notes", text=text)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "text"


async def test_a_refused_method_is_told_all_that_the_address_takes(notifier: Door) -> None:
    for path, allowed in (("/a/x", "GET, POST"), ("/v1/cases", "GET"), ("/v1/duty/hand-over", "POST")):
        answer = await notifier.client.request("DELETE", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert answer.headers["content-type"] == "application/problem+json"
