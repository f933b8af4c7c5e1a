"""Frozen money goes back to who paid it: to one customer at a time, from whichever account, no more than they paid."""

import json
from typing import Any
from uuid import UUID

import pytest

from shared.events import OrderChanged, VerdictReached
from tests.parts import IDENTITY, TOKENS, Door
from tests.service.notifier.builders import PAYER, a_success, a_verdict, an_account, hear, moved_to
from tests.service.notifier.police import a_case, approved, case_of, close, give, ordered

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER_PAYER = "6222020000000007770"


def of_another_payer(verdict: VerdictReached) -> VerdictReached:
    """The same report, by another customer."""
    report = verdict.report
    people = json.loads(IDENTITY.open(report.identity, str(report.report_id)))
    people["payer"] |= {"account": OTHER_PAYER, "name": "方秀英"}
    changes = {
        "payer_token": TOKENS.of("account", OTHER_PAYER),
        "identity": IDENTITY.seal(json.dumps(people, ensure_ascii=False), str(report.report_id)),
    }
    return verdict.model_copy(update={"report": report.model_copy(update=changes)})


async def frozen(door: Door, case_id: str, frozen_fen: int | None = None, **more: Any) -> None:  # noqa: ANN401
    """Freeze what was stopped, and close the case as confirmed."""
    freeze = await approved(door, await ordered(door, case_id, "freeze", **more))
    answer = a_success(freeze)
    await hear(door.pool, answer.model_copy(update={"frozen_fen": frozen_fen}) if frozen_fen else answer)
    assert (await close(door, case_id)).status_code == 200


async def payer_told(door: Door, order: dict[str, Any]) -> str:
    """The account that the bank is told to return money to."""
    [row] = await door.rows("select event from bank_order where id = $1", UUID(order["id"]))
    event = OrderChanged.model_validate_json(row["event"])
    return str(json.loads(IDENTITY.open(event.identity, order["id"]))["payer"]["account"])


async def test_where_several_customers_paid_each_gets_back_what_they_paid(shared_notifier: Door) -> None:
    first = a_verdict(account := an_account(), amount_fen=1_000)
    second = of_another_payer(a_verdict(account, "ICBC-SZ-LH-002", amount_fen=2_000))
    case_id = await a_case(shared_notifier, first, second)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await frozen(shared_notifier, case_id)
    unsaid = await give(shared_notifier, case_id, "return_funds")
    assert (unsaid.status_code, unsaid.json()["rule"]) == (422, "return-to-one-customer")
    for verdict, account, fen in ((second, OTHER_PAYER, 2_000), (first, PAYER, 1_000)):
        order = await ordered(shared_notifier, case_id, "return_funds", report_id=str(verdict.report.report_id))
        assert (order["amount_fen"], await payer_told(shared_notifier, order)) == (fen, account)
        assert order["original_application_id"] == order["acts_on"]
        await hear(shared_notifier.pool, a_success(await approved(shared_notifier, order)))


async def test_a_freeze_of_the_whole_account_returns_no_other_money(shared_notifier: Door) -> None:
    case_id = await a_case(shared_notifier, a_verdict(an_account(), amount_fen=1_000))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await frozen(shared_notifier, case_id, frozen_fen=50_000, scope="account")
    more = await give(shared_notifier, case_id, "return_funds", amount_fen=1_001)
    assert (more.status_code, more.json()["rule"]) == (409, "return-what-is-frozen")
    assert (await ordered(shared_notifier, case_id, "return_funds"))["amount_fen"] == 1_000


async def test_money_frozen_further_on_goes_back_to_the_customer_and_not_to_the_account_before(
    shared_notifier: Door,
) -> None:
    case_id = await a_case(shared_notifier, a_verdict(an_account(), amount_fen=1_000))
    moved = moved_to(an_account(), 5_000)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id), stopped_fen=0, onward=[moved]))
    [_, node] = (await case_of(shared_notifier, case_id))["accounts"]
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id, onward_id=node["id"])))
    await frozen(shared_notifier, case_id, onward_id=node["id"])
    order = await ordered(shared_notifier, case_id, "return_funds", onward_id=node["id"])
    assert (order["account_level"], order["amount_fen"]) == (2, 1_000)
    assert await payer_told(shared_notifier, order) == PAYER


@pytest.mark.parametrize(
    ("kind", "message"), [("return_funds", "is no report of this case"), ("release_stop", "has no place")]
)
async def test_whose_money_is_named_for_a_return_and_by_a_report_of_the_case(
    shared_notifier: Door, kind: str, message: str
) -> None:
    case_id = await a_case(shared_notifier, a_verdict(an_account()))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    if kind == "return_funds":
        await frozen(shared_notifier, case_id)
    answer = await give(shared_notifier, case_id, kind, report_id=case_id)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["field"], message in error["message"]) == ("report_id", True)
