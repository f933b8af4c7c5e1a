"""What the banks' document says of methods is what the door does."""

import pytest

from tests.parts import Door, bank
from tests.service.intake.counter import problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_the_address_of_batches_is_no_id_of_a_report(shared: Door, method: str) -> None:
    answer = await shared.client.request(method, "/v1/reports/batch", headers=bank())
    problem_of(answer, 405)
    assert answer.headers["allow"] == "POST"


async def test_what_is_not_described_still_says_which_method_it_takes(shared: Door) -> None:
    answer = await shared.client.post("/health/live")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
