"""Extension, freeze, renewal, unfreezing and return: from the officer to the bank and back."""

from typing import Any

import pytest

from services.notifier.orders.effect import months_later
from shared.events import OrderChanged
from tests.parts import Door
from tests.service.notifier.builders import a_success, hear, now, said
from tests.service.notifier.police import (
    approved,
    case_of,
    clocks,
    close,
    give,
    new_case,
    ordered,
    orders_of,
    promised,
    timeline,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def done(door: Door, case_id: str, kind: str = "stop", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Give an order, have it approved where that is needed, and let the bank do it; return the order."""
    order = await ordered(door, case_id, kind, **more)
    if order["status"] == "proposed":
        order = await approved(door, order)
    await hear(door.pool, a_success(order))
    return next(one for one in (await case_of(door, case_id))["orders"] if one["id"] == order["id"])


async def holds(door: Door, case_id: str) -> list[tuple[str, str | None]]:
    """The kinds of a case's orders, and how what they held ended."""
    return [(one["kind"], one["ended_why"]) for one in await orders_of(door, case_id)]


async def test_an_extension_takes_the_stops_place_for_another_48_hours(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await done(shared_notifier, case_id)
    extension = await done(shared_notifier, case_id, "extend_stop")
    assert (extension["acts_on"], extension["original_application_id"]) == (stop["id"], stop["id"])
    assert await holds(shared_notifier, case_id) == [("stop", "extended"), ("extend_stop", None)]
    assert await clocks(shared_notifier, case_id) == ["expiry", "warning", "warning", "warning"]
    third = await give(shared_notifier, case_id)
    assert (third.status_code, third.json()["rule"]) == (409, "stopped-twice")


async def test_a_freeze_takes_the_stops_place_for_six_months(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await done(shared_notifier, case_id)
    freeze = await ordered(
        shared_notifier, case_id, "freeze", scope="account", includes_proceeds=True, notice_number="深冻〔2026〕7号"
    )
    assert (freeze["emergency_level"], freeze["status"], freeze["approval_level"]) == ("01", "proposed", 2)
    freeze = await approved(shared_notifier, freeze)
    [row] = await promised(shared_notifier, case_id)
    event = OrderChanged.model_validate_json(row["payload"])
    assert (event.term_months, event.scope, event.includes_proceeds) == (6, "account", True)
    assert (event.notice_number, str(event.acts_on)) == ("深冻〔2026〕7号", stop["id"])
    at = now()
    rows = await hear(shared_notifier.pool, a_success(freeze, executed_at=at))
    assert [one.expires_at for one in said(rows, OrderChanged)] == [months_later(at, 6)]
    assert await holds(shared_notifier, case_id) == [("stop", "frozen"), ("freeze", None)]
    case = await case_of(shared_notifier, case_id)
    assert case["orders"][-1]["frozen_fen"] == freeze["amount_fen"]
    assert case["timeline"][-1]["text"] == "银行反馈：已冻结 98,000.00 元"


async def test_a_freeze_is_renewed_and_lifted(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    for kind in ("stop", "freeze", "extend_freeze", "unfreeze"):
        await done(shared_notifier, case_id, kind)
    assert await holds(shared_notifier, case_id) == [
        ("stop", "frozen"),
        ("freeze", "renewed"),
        ("extend_freeze", "released"),
        ("unfreeze", None),
    ]
    assert "expiry" not in await clocks(shared_notifier, case_id)
    again = await give(shared_notifier, case_id, "unfreeze")
    assert (again.status_code, again.json()["rule"]) == (409, "nothing-is-frozen")


async def test_frozen_money_of_a_confirmed_case_is_returned_and_never_more_of_it(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await done(shared_notifier, case_id)
    await done(shared_notifier, case_id, "freeze")
    early = await give(shared_notifier, case_id, "return_funds")
    assert (early.status_code, early.json()["rule"]) == (409, "return-after-confirmed")
    assert (await close(shared_notifier, case_id)).status_code == 200
    first = await done(shared_notifier, case_id, "return_funds", amount_fen=3_000_000)
    assert (first["returned_fen"], first["emergency_level"]) == (3_000_000, "01")
    more = await give(shared_notifier, case_id, "return_funds", amount_fen=6_800_001)
    assert (more.status_code, more.json()["rule"]) == (409, "return-what-is-frozen")
    rest = await done(shared_notifier, case_id, "return_funds")
    assert rest["amount_fen"] == 6_800_000
    nothing = await give(shared_notifier, case_id, "return_funds")
    assert (nothing.status_code, nothing.json()["rule"]) == (409, "return-what-is-frozen")
    assert "银行反馈：已返还 68,000.00 元" in [
        one["text"] for one in (await case_of(shared_notifier, case_id))["timeline"]
    ]


async def test_closing_as_unfounded_unfreezes_and_the_freeing_has_its_own_deadline(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await done(shared_notifier, case_id)
    await done(shared_notifier, case_id, "freeze")
    case = (await close(shared_notifier, case_id, "unfounded")).json()
    unfreeze = case["orders"][-1]
    assert (unfreeze["kind"], unfreeze["status"]) == ("unfreeze", "pending")
    assert "release" in await clocks(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_success(unfreeze))
    assert await clocks(shared_notifier, case_id) == []
    assert timeline(await case_of(shared_notifier, case_id))[-1] == "feedback"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "freeze", "term_months": 0}, "term_months"),
        ({"kind": "freeze", "term_months": 1.5}, "term_months"),
        ({"kind": "freeze", "scope": "all"}, "scope"),
        ({"kind": "freeze", "major": "yes"}, "major"),
        ({"kind": "freeze", "notice_number": " "}, "notice_number"),
        ({"kind": "freeze", "notice_number": "1\u202e"}, "notice_number"),
        ({"kind": "stop", "term_months": 6}, "term_months"),
        ({"kind": "stop", "notice_number": "1"}, "notice_number"),
        ({"kind": "unfreeze", "reason": "x", "scope": "amount"}, "scope"),
        ({"kind": "release_stop", "reason": "x", "amount_fen": 5}, "amount_fen"),
        ({"kind": "release_stop"}, "reason"),
        ({"kind": "unfreeze", "reason": " "}, "reason"),
        ({"kind": "stop", "emergency_level": "03"}, "emergency_level"),
        ({"kind": "stop", "application_type": "06"}, "application_type"),
        ({"kind": "stop", "co_officer": ""}, "co_officer"),
        ({"kind": "stop", "onward_id": "01999999-0000-7000-8000-000000000000"}, "onward_id"),
        (
            {"kind": "stop", "original_application_id": "01999999-0000-7000-8000-000000000000"},
            "original_application_id",
        ),
        (
            {"kind": "freeze", "original_application_id": "01999999-0000-7000-8000-000000000000"},
            "original_application_id",
        ),
    ],
)
async def test_a_field_that_is_wrong_or_not_of_the_kind_is_named(
    shared_notifier: Door, body: dict[str, Any], field: str
) -> None:
    case_id = await new_case(shared_notifier)
    answer = await give(shared_notifier, case_id, **{"reason": "", **body})
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await orders_of(shared_notifier, case_id) == []


@pytest.mark.parametrize(
    ("terms", "rule"), [({"term_months": 7}, "freeze-term"), ({"notice_number": None}, "freeze-notice")]
)
async def test_an_unlawful_freeze_is_refused_by_the_rule(
    shared_notifier: Door, terms: dict[str, Any], rule: str
) -> None:
    case_id = await new_case(shared_notifier)
    await done(shared_notifier, case_id)
    answer = await give(shared_notifier, case_id, "freeze", **terms)
    assert (answer.status_code, answer.json()["rule"]) == (422, rule)
