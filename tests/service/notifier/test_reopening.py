"""A closed case that turns out otherwise: reopened, and what was said of it taken back."""

import asyncio
from uuid import UUID

import pytest

from shared.events import CaseChanged, CaseStatus, Finding, OutcomeDecided
from tests.parts import Door
from tests.service.notifier.builders import a_success, a_verdict, an_account, hear, take, until
from tests.service.notifier.police import (
    LUOHU,
    a_case,
    case_of,
    clocks,
    close,
    does,
    done,
    give,
    new_case,
    ordered,
    promised,
    timeline,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def outcomes(door: Door, case_id: str) -> list[OutcomeDecided]:
    rows = [row for row in await promised(door, case_id) if row["type"] == OutcomeDecided.type]
    return [OutcomeDecided.model_validate_json(row["payload"]) for row in sorted(rows, key=lambda row: row["id"])]


@pytest.mark.parametrize("finding", Finding)
async def test_reopening_takes_the_finding_back_from_the_rules(shared_notifier: Door, finding: Finding) -> None:
    case_id = await new_case(shared_notifier)
    await close(shared_notifier, case_id, finding)
    case = await done(shared_notifier, case_id, "reopen", LUOHU, reason="发现新线索")
    assert (case["status"], case["finding"], case["closed_at"], case["reason"]) == ("acknowledged", None, None, None)
    assert case["responsible"] == "秦若楠"
    assert timeline(case) == ["opened", "closed", "reopened"]
    assert case["timeline"][-1]["text"].endswith("结论，理由：发现新线索")
    said, withdrawn = await outcomes(shared_notifier, case_id)
    assert (said.withdraws, withdrawn.withdraws) == (None, said.outcome_id)
    assert (withdrawn.finding, withdrawn.report_ids) == (finding, said.report_ids)
    rows = await shared_notifier.rows(
        "select payload from outbox where key = $1 and type = $2 order by id", case_id, CaseChanged.type
    )
    event = CaseChanged.model_validate_json(rows[-1]["payload"])
    assert (event.status, event.finding, event.closed_at) == (CaseStatus.ACKNOWLEDGED, None, None)


async def test_reopening_twice_is_once(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await close(shared_notifier, case_id)
    first = await done(shared_notifier, case_id, "reopen", reason="x")
    assert await done(shared_notifier, case_id, "reopen", LUOHU, reason="y") == first
    assert len(await outcomes(shared_notifier, case_id)) == 2


async def test_a_reopened_case_can_be_closed_with_another_finding_which_counts_as_new(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await close(shared_notifier, case_id, "confirmed")
    await done(shared_notifier, case_id, "reopen", reason="x")
    assert (await close(shared_notifier, case_id, "unfounded")).json()["finding"] == "unfounded"
    said = await outcomes(shared_notifier, case_id)
    assert [one.finding.value for one in said] == ["confirmed", "confirmed", "unfounded"]
    assert [one.withdraws for one in said] == [None, said[0].outcome_id, None]
    assert said[0].decided_at < said[1].decided_at < said[2].decided_at


async def test_money_can_be_stopped_again_in_a_reopened_case_and_is_due_to_be(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await close(shared_notifier, case_id, "unfounded")
    assert (await give(shared_notifier, case_id)).status_code == 409
    await done(shared_notifier, case_id, "reopen", reason="x")
    assert await clocks(shared_notifier, case_id) == ["order"]
    assert (await give(shared_notifier, case_id)).status_code == 201


async def test_no_order_is_due_where_the_reopened_case_still_holds_the_money(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await close(shared_notifier, case_id, "confirmed")
    await done(shared_notifier, case_id, "reopen", reason="x")
    assert "order" not in await clocks(shared_notifier, case_id)


async def test_a_case_is_not_reopened_while_another_on_the_account_is_open(shared_notifier: Door) -> None:
    account = an_account()
    first = await a_case(shared_notifier, a_verdict(account))
    await close(shared_notifier, first)
    second = await a_case(shared_notifier, a_verdict(account))
    before = await case_of(shared_notifier, first)
    answer = await does(shared_notifier, first, "reopen", reason="x")
    assert answer.status_code == 409
    assert (answer.json()["rule"], answer.json()["existing_id"]) == ("one-open-case-an-account", second)
    assert await case_of(shared_notifier, first) == before
    assert len(await outcomes(shared_notifier, first)) == 1


async def test_cases_split_from_one_another_may_be_open_together(shared_notifier: Door) -> None:
    account = an_account()
    verdicts = [a_verdict(account), a_verdict(account)]
    head = await a_case(shared_notifier, *verdicts)
    split = await done(shared_notifier, head, "split", report_ids=[str(verdicts[1].report.report_id)], reason="x")
    for case_id in (head, split["id"]):
        await close(shared_notifier, case_id)
        assert (await done(shared_notifier, case_id, "reopen", reason="x"))["status"] == "acknowledged"


async def test_an_alert_that_opens_a_case_at_the_same_moment_wins(shared_notifier: Door) -> None:
    account = an_account()
    first = await a_case(shared_notifier, a_verdict(account))
    await close(shared_notifier, first)
    pool = shared_notifier.pool
    async with pool.acquire() as connection, connection.transaction():
        # as another replica does when it takes an alert in
        await connection.execute(
            """
            insert into fraud_case (id, version, payee_token, payee_mask, unit, bank, status, amount_fen, opened_at,
                                    acknowledge_by, in_charge, changed_at)
            select gen_random_uuid(), 1, payee_token, payee_mask, unit, bank, 'open', 1, now(), now(), unit, now()
            from fraud_case where id = $1
            """,
            UUID(first),
        )
        reopening = asyncio.create_task(does(shared_notifier, first, "reopen", reason="x"))
        waiting = (
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )

        async def waits() -> bool:
            return bool(await pool.fetchval(waiting))

        await until(waits)
    answer = await reopening
    assert (answer.status_code, answer.json()["rule"]) == (409, "one-open-case-an-account")
    assert (await case_of(shared_notifier, first))["status"] == "closed"


async def test_an_alert_after_reopening_joins_the_reopened_case(shared_notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(shared_notifier, a_verdict(account))
    await close(shared_notifier, case_id)
    await done(shared_notifier, case_id, "reopen", reason="x")
    taken = await take(shared_notifier.pool, a_verdict(account))
    assert [(str(placed.case_id), placed.opened) for placed in taken.placed] == [(case_id, False)]
