"""Orders: what an officer may order, and what is promised for it."""

import json
from uuid import UUID

import pytest

from shared.events import CaseChanged, DispositionOutcome, OrderChanged, OrderKind, OrderStatus
from tests.parts import IDENTITY, Door
from tests.service.notifier.builders import (
    PAYEE_NAME,
    PAYER,
    PAYER_NAME,
    a_disposition,
    a_failure,
    a_success,
    a_verdict,
    an_account,
    count,
    hear,
    take,
)
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
    said_of,
    timeline,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_stop_is_promised_to_the_payees_bank_and_awaits_its_answer(shared_notifier: Door) -> None:
    account = an_account()
    verdict = a_verdict(account)
    case_id = await a_case(shared_notifier, verdict)
    answer = await give(shared_notifier, case_id, reason="立即止付", remark="速办", co_officer="何婉仪")
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/cases/{case_id}"
    order = answer.json()
    assert (order["kind"], order["status"], order["bank"]) == ("stop", "pending", "CCB")
    assert (order["amount_fen"], order["original_application_id"]) == (9_800_000, str(verdict.report.report_id))
    [row] = await promised(shared_notifier, case_id)
    assert (str(row["id"]), row["topic"], row["key"]) == (order["id"], "lanjie.orders.v1", case_id)
    event = OrderChanged.model_validate_json(row["payload"])
    assert (event.kind, event.status, event.version) == (OrderKind.STOP, OrderStatus.PENDING, 1)
    assert (event.bank, event.amount_fen, event.unit) == ("CCB", 9_800_000, "SZ-LH-CZ")
    assert (event.application_type, event.emergency_level) == ("02", "02")
    assert event.transfer_at == verdict.report.observed_at
    people = json.loads(IDENTITY.open(event.identity, order["id"]))
    assert people == {
        "payer": {"name": PAYER_NAME, "account": PAYER, "bank_code": "ICBC"},
        "payee": {"name": PAYEE_NAME, "account": account, "bank_code": "CCB", "account_type": "personal"},
        "officer": "陆峥",
        "officer_id": str(await officer_id(shared_notifier, "陆峥")),
        "co_officer": "何婉仪",
        "reason": "立即止付",
        "remark": "速办",
    }
    for clear in (account, PAYEE_NAME, PAYER, PAYER_NAME):
        assert clear not in row["payload"].decode()


async def officer_id(door: Door, name: str) -> UUID:
    [row] = await door.rows("select id from officer where name = $1", name)
    found: UUID = row["id"]
    return found


async def test_who_orders_has_taken_the_case_on(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await ordered(shared_notifier, case_id)
    case = await case_of(shared_notifier, case_id)
    assert (case["status"], case["acknowledged_by"], case["version"]) == ("acknowledged", "陆峥", 2)
    assert timeline(case) == ["opened", "acknowledged", "ordered"]
    assert await said_of(shared_notifier, case_id) == [CaseChanged.type, OrderChanged.type]


async def test_an_order_is_recorded_with_who_gave_it_and_why(shared_notifier: Door) -> None:
    order = await ordered(shared_notifier, await new_case(shared_notifier), reason="受害人已报警")
    assert await recorded(shared_notifier, order["id"]) == [("officer:陆峥", "order_stop", "受害人已报警")]


async def test_a_stop_is_for_what_was_not_averted_at_the_counter(shared_notifier: Door) -> None:
    account = an_account()
    averted, partly, gone = (a_verdict(account, amount_fen=amount) for amount in (100, 200, 400))
    case_id = await a_case(shared_notifier, averted, partly, gone)
    await count(
        shared_notifier.pool,
        a_disposition(averted),
        a_disposition(partly, amount_fen=50),
        a_disposition(gone, DispositionOutcome.ALREADY_SENT),
    )
    order = await ordered(shared_notifier, case_id)
    assert order["amount_fen"] == 150 + 400
    assert order["original_application_id"] == str(partly.report.report_id), "about a transfer that may have gone out"
    [row] = await orders_of(shared_notifier, case_id)
    assert row["covers"] == [partly.report.report_id, gone.report.report_id]


async def test_an_officer_may_name_the_amount(shared_notifier: Door) -> None:
    order = await ordered(shared_notifier, await new_case(shared_notifier), amount_fen=123)
    assert order["amount_fen"] == 123


async def test_a_second_stop_may_follow_a_first_that_was_answered(shared_notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(shared_notifier, a_verdict(account))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id), stopped_fen=1))
    await take(shared_notifier.pool, a_verdict(account))
    second = await ordered(shared_notifier, case_id)
    assert second["amount_fen"] == 2 * 9_800_000


async def test_stops_that_failed_do_not_count_as_stops(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    for _ in range(3):
        await hear(shared_notifier.pool, a_failure(await ordered(shared_notifier, case_id)))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    assert (await give(shared_notifier, case_id)).status_code == 409


async def test_a_release_names_the_stop_it_ends_of_this_case_and_no_other(shared_notifier: Door) -> None:
    account = an_account()
    first = await a_case(shared_notifier, a_verdict(account))
    stop = await ordered(shared_notifier, first, amount_fen=11)
    await hear(shared_notifier.pool, a_success(stop))
    assert (await close(shared_notifier, first)).status_code == 200
    second = await a_case(shared_notifier, a_verdict(account))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, second, amount_fen=22)))
    release = await ordered(shared_notifier, first, "release_stop")
    assert (release["original_application_id"], release["amount_fen"]) == (stop["id"], 11)
    await hear(shared_notifier.pool, a_success(release))
    [released, _] = await orders_of(shared_notifier, first)
    [still_held] = await orders_of(shared_notifier, second)
    assert released["ended_at"] is not None
    assert still_held["ended_at"] is None
