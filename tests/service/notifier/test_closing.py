"""Closing a case: the finding, what it releases, and the outcome the rules are told of."""

from uuid import UUID

import pytest

from shared.events import CaseChanged, Finding, OrderChanged, OutcomeDecided
from tests.parts import Door
from tests.service.notifier.builders import a_failure, a_success, a_verdict, an_account, hear
from tests.service.notifier.police import (
    a_case,
    case_of,
    close,
    give,
    new_case,
    ordered,
    orders_of,
    promised,
    recorded,
    timeline,
)


async def types_promised(door: Door, case_id: str) -> list[str]:
    return [row["type"] for row in await promised(door, case_id)]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("finding", ["confirmed", "unfounded"])
async def test_a_finding_closes_the_case_and_is_promised_to_the_rules(shared_notifier: Door, finding: str) -> None:
    account = an_account()
    verdicts = [a_verdict(account), a_verdict(account)]
    case_id = await a_case(shared_notifier, *verdicts)
    answer = await close(shared_notifier, case_id, finding, scam_type="romance", reason=" 核实 ")
    assert answer.status_code == 200
    case = answer.json()
    assert (case["status"], case["finding"], case["scam_type"], case["reason"]) == (
        "closed",
        finding,
        "romance",
        "核实",
    )
    assert case["closed_at"] is not None
    assert timeline(case) == ["opened", "joined", "closed"]
    [row] = await promised(shared_notifier, case_id)
    outcome = OutcomeDecided.model_validate_json(row["payload"])
    assert (row["id"], row["topic"]) == (outcome.outcome_id, "lanjie.outcomes.v1")
    assert (str(outcome.case_id), outcome.finding, outcome.scam_type) == (case_id, Finding(finding), "romance")
    assert outcome.payee_token == verdicts[0].report.payee_token
    assert set(outcome.report_ids) == {verdict.report.report_id for verdict in verdicts}


async def test_a_case_keeps_the_scam_type_of_the_rules_unless_the_police_name_another(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    assert (await close(shared_notifier, case_id)).json()["scam_type"] == "impersonated_authority"


async def test_the_same_finding_again_changes_nothing(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    first = (await close(shared_notifier, case_id)).json()
    again = await close(shared_notifier, case_id, reason="another reason", scam_type="romance")
    assert (again.status_code, again.json()) == (200, first)
    assert await types_promised(shared_notifier, case_id) == [OutcomeDecided.type]


async def test_another_finding_is_refused(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    first = (await close(shared_notifier, case_id, "confirmed")).json()
    answer = await close(shared_notifier, case_id, "unfounded")
    assert (answer.status_code, "another finding" in answer.json()["detail"]) == (409, True)
    assert await case_of(shared_notifier, case_id) == first
    assert await types_promised(shared_notifier, case_id) == [OutcomeDecided.type]


async def test_an_unfounded_case_releases_what_it_holds_in_the_same_transaction(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_success(stop))
    answer = await close(shared_notifier, case_id, "unfounded", reason="已排除")
    assert answer.status_code == 200
    case = answer.json()
    release = case["orders"][-1]
    assert (release["kind"], release["status"]) == ("release_stop", "pending")
    assert (release["original_application_id"], release["amount_fen"]) == (stop["id"], stop["amount_fen"])
    assert timeline(case)[-2:] == ["closed", "ordered"]
    assert await types_promised(shared_notifier, case_id) == [OrderChanged.type, OutcomeDecided.type]
    written = await shared_notifier.rows(
        """
        select o.xmin::text from bank_order o where o.case_id = $1 and kind = 'release_stop'
        union select c.xmin::text from fraud_case c where c.id = $1
        union select x.xmin::text from outbox x where x.key = $1::text and awaits_answer
        """,
        UUID(case_id),
    )
    assert len(written) == 1, "one transaction wrote the finding, the release and both promises"
    assert await recorded(shared_notifier, release["id"]) == [("officer:陆峥", "order_release_stop", "已排除")]


async def test_the_release_of_a_closed_case_can_be_answered(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    release = (await close(shared_notifier, case_id, "unfounded")).json()["orders"][-1]
    await hear(shared_notifier.pool, a_success(release))
    case = await case_of(shared_notifier, case_id)
    assert (case["status"], case["orders"][-1]["status"]) == ("closed", "executed")
    assert case["orders"][0]["ended_at"] is not None


@pytest.mark.parametrize("finding", ["confirmed", "unfounded"])
async def test_a_case_that_holds_nothing_or_is_confirmed_releases_nothing(shared_notifier: Door, finding: str) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_success(stop) if finding == "confirmed" else a_failure(stop))
    assert (await close(shared_notifier, case_id, finding)).status_code == 200
    assert [row["kind"] for row in await orders_of(shared_notifier, case_id)] == ["stop"]
    assert await types_promised(shared_notifier, case_id) == [OutcomeDecided.type]


async def test_what_a_confirmed_case_holds_can_still_be_released(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    assert (await close(shared_notifier, case_id)).status_code == 200
    version = (await case_of(shared_notifier, case_id))["version"]
    assert (await give(shared_notifier, case_id, "release_stop")).status_code == 201
    case = await case_of(shared_notifier, case_id)
    assert (case["status"], case["version"]) == ("closed", version + 1)
    rows = await shared_notifier.rows(
        "select payload from outbox where key = $1 and type = $2", case_id, CaseChanged.type
    )
    assert max(CaseChanged.model_validate_json(row["payload"]).version for row in rows) == version + 1
