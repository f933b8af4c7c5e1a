"""When an order is due: money of a case at work that no order covers, whatever has come of earlier ones."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.parts import Door
from tests.service.notifier.builders import (
    a_disposition,
    a_failure,
    a_success,
    a_verdict,
    an_account,
    count,
    hear,
    now,
    take,
)
from tests.service.notifier.clockwork import fire
from tests.service.notifier.police import (
    COUNTY,
    LUOHU,
    a_case,
    acknowledge,
    clocks,
    close,
    does,
    done,
    give,
    new_case,
    ordered,
    reject,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
MUCH = 100_000_001


async def test_an_order_is_due_again_when_the_bank_could_not_do_the_only_one(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    assert await clocks(shared_notifier, case_id) == ["feedback"]
    await hear(shared_notifier.pool, a_failure(stop))
    assert await clocks(shared_notifier, case_id) == ["order"]
    [due] = await shared_notifier.rows(
        "select due_at - now() as left from deadline where case_id = $1 and state = 'running'", UUID(case_id)
    )
    assert timedelta(minutes=4) < due["left"] <= timedelta(minutes=5), "from the bank's answer, not from the first time"
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    assert "order" not in await clocks(shared_notifier, case_id)


async def test_a_failure_heard_again_starts_no_second_clock(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    failure = a_failure(await ordered(shared_notifier, case_id))
    await hear(shared_notifier.pool, failure)
    await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, failure)
    assert await clocks(shared_notifier, case_id) == ["feedback"]


async def test_no_order_is_due_when_only_the_extension_failed(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await hear(shared_notifier.pool, a_failure(await ordered(shared_notifier, case_id, "extend_stop")))
    assert "order" not in await clocks(shared_notifier, case_id)


async def test_no_order_is_due_when_a_stop_failed_that_nobody_wants_any_more(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    [said] = (await done(shared_notifier, case_id, "objections", by="持卡人", text="x"))["objections"]
    answer = await shared_notifier.client.post(
        f"/v1/objections/{said['id']}/answer", json={"decision": "upheld", "text": "x"}, headers=LUOHU
    )
    assert answer.status_code == 200
    await hear(shared_notifier.pool, a_failure(stop))
    assert await clocks(shared_notifier, case_id) == []


async def test_no_order_is_due_in_a_case_that_was_closed_before_the_bank_failed(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    assert (await close(shared_notifier, case_id, "unfounded")).status_code == 200
    await hear(shared_notifier.pool, a_failure(stop))
    assert await clocks(shared_notifier, case_id) == []


async def test_in_a_case_that_waits_for_its_new_unit_the_order_is_due_once_that_acknowledges(
    shared_notifier: Door,
) -> None:
    case_id = await new_case(shared_notifier)
    stop = await ordered(shared_notifier, case_id)
    await done(shared_notifier, case_id, "transfer", unit="SZ-LH", reason="x")
    await hear(shared_notifier.pool, a_failure(stop))
    assert await clocks(shared_notifier, case_id) == ["acknowledge"]
    await acknowledge(shared_notifier, case_id, LUOHU)
    assert await clocks(shared_notifier, case_id) == ["order"]


async def test_a_proposal_turned_down_before_the_new_unit_acknowledges_takes_none_of_its_time(
    shared_notifier: Door,
) -> None:
    case_id = await a_case(shared_notifier, a_verdict(an_account(), amount_fen=MUCH))
    proposal = await ordered(shared_notifier, case_id)
    await done(shared_notifier, case_id, "transfer", unit="SZ-LH", reason="x")
    assert (await reject(shared_notifier, proposal, COUNTY)).status_code == 200
    assert await clocks(shared_notifier, case_id) == ["acknowledge"]


async def test_an_order_is_due_in_a_split_case_whose_money_nobody_stops(shared_notifier: Door) -> None:
    account = an_account()
    verdicts = [a_verdict(account), a_verdict(account)]
    case_id = await a_case(shared_notifier, *verdicts)
    new = await done(shared_notifier, case_id, "split", report_ids=[str(verdicts[1].report.report_id)], reason="x")
    assert await clocks(shared_notifier, new["id"]) == ["order"]
    await fire(shared_notifier.pool, timedelta(minutes=5, seconds=1))
    told = await shared_notifier.rows("select kind from timeline where case_id = $1 order by id", UUID(new["id"]))
    assert [row["kind"] for row in told] == ["opened", "order_overdue"]


async def test_no_order_is_due_in_a_split_case_whose_money_the_first_one_stops(shared_notifier: Door) -> None:
    account = an_account()
    verdicts = [a_verdict(account), a_verdict(account)]
    case_id = await a_case(shared_notifier, *verdicts)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    new = await done(shared_notifier, case_id, "split", report_ids=[str(verdicts[1].report.report_id)], reason="x")
    assert await clocks(shared_notifier, new["id"]) == []


@pytest.mark.parametrize("stopped", [True, False])
async def test_a_stop_that_is_under_way_in_the_first_case_keeps_the_split_ones_order_due_until_it_holds(
    shared_notifier: Door, *, stopped: bool
) -> None:
    account = an_account()
    verdicts = [a_verdict(account), a_verdict(account)]
    case_id = await a_case(shared_notifier, *verdicts)
    stop = await ordered(shared_notifier, case_id)
    new = await done(shared_notifier, case_id, "split", report_ids=[str(verdicts[1].report.report_id)], reason="x")
    await hear(shared_notifier.pool, a_success(stop) if stopped else a_failure(stop))
    await fire(shared_notifier.pool, timedelta(minutes=5, seconds=1))
    assert await clocks(shared_notifier, new["id"]) == ([] if stopped else ["order"])


async def test_an_order_is_due_in_a_split_case_whose_money_the_first_one_has_let_go(shared_notifier: Door) -> None:
    account = an_account()
    verdicts = [a_verdict(account), a_verdict(account)]
    case_id = await a_case(shared_notifier, *verdicts)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id, "release_stop")))
    new = await done(shared_notifier, case_id, "split", report_ids=[str(verdicts[1].report.report_id)], reason="x")
    assert await clocks(shared_notifier, new["id"]) == ["order"]


async def test_an_order_is_due_for_money_that_joins_a_case_which_holds_nothing_any_more(shared_notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(shared_notifier, a_verdict(account))
    stop = await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_success(stop, executed_at=now() - timedelta(hours=49)))
    await fire(shared_notifier.pool)
    assert await clocks(shared_notifier, case_id) == []
    await take(shared_notifier.pool, a_verdict(account))
    assert await clocks(shared_notifier, case_id) == ["order"]


async def test_no_order_is_due_for_money_that_joins_a_case_which_holds_its_account(shared_notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(shared_notifier, a_verdict(account))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await take(shared_notifier.pool, a_verdict(account))
    assert "order" not in await clocks(shared_notifier, case_id)


async def test_an_order_that_is_under_way_ends_the_clock_of_a_case_that_another_officer_takes_over(
    shared_notifier: Door,
) -> None:
    case_id = await new_case(shared_notifier)
    await ordered(shared_notifier, case_id)
    assert (await does(shared_notifier, case_id, "take-over", LUOHU)).status_code == 200
    assert await clocks(shared_notifier, case_id) == ["feedback"]


async def test_no_order_is_due_for_a_transfer_that_two_branches_report_and_one_averted(shared_notifier: Door) -> None:
    account, at = an_account(), now()
    verdicts = [a_verdict(account, filed_at=at), a_verdict(account, branch="ICBC-SZ-LH-002", filed_at=at)]
    case_id = await a_case(shared_notifier, *verdicts)
    await count(shared_notifier.pool, a_disposition(verdicts[0]))
    await acknowledge(shared_notifier, case_id)
    assert await clocks(shared_notifier, case_id) == []
    assert (await give(shared_notifier, case_id)).json()["rule"] == "nothing-to-stop"


async def test_an_order_about_a_transfer_is_about_all_reports_of_it(shared_notifier: Door) -> None:
    account, at = an_account(), now()
    verdicts = [a_verdict(account, filed_at=at), a_verdict(account, branch="ICBC-SZ-LH-002", filed_at=at)]
    case_id = await a_case(shared_notifier, *verdicts)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id, "release_stop")))
    await done(shared_notifier, case_id, "transfer", unit="SZ-LH", reason="x")
    await acknowledge(shared_notifier, case_id, LUOHU)
    assert await clocks(shared_notifier, case_id) == []
