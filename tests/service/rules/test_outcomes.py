"""What the police found counts from the next report on."""

from datetime import timedelta

import pytest

from shared.events import Finding, Level, OutcomeApplied
from shared.postgres import Pool
from tests.service.rules.builders import NOW, a_filed_report, an_outcome, apply, judge, payee_of, rules_of

LATER = NOW + timedelta(hours=1)


async def watched(pool: Pool, payee: str) -> bool:
    return (await payee_of(pool, a_filed_report(payee_token=payee))).watched


async def test_the_next_report_on_a_confirmed_account_is_an_alert_of_its_scam_type(pool: Pool) -> None:
    await apply(pool, an_outcome("hot"))
    [verdict] = await judge(pool, a_filed_report(payee_token="hot"))
    assert (verdict.level, verdict.scam_type) == (Level.ALERT, "brushing_rebates")
    assert rules_of(verdict) == {"payee-watched": "收款账户已由公安机关确认涉诈"}


async def test_an_account_found_unfounded_later_is_no_longer_watched(pool: Pool) -> None:
    await apply(pool, an_outcome("hot"))
    assert await watched(pool, "hot")
    await apply(pool, an_outcome("hot", Finding.UNFOUNDED, decided_at=LATER))
    assert not await watched(pool, "hot")
    [verdict] = await judge(pool, a_filed_report(payee_token="hot"))
    assert verdict.level is Level.CLEAR


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("early", "late"), [tuple(Finding), tuple(Finding)[::-1]])
async def test_the_outcome_decided_last_counts_in_whatever_order_they_arrive(
    pool: Pool, early: Finding, late: Finding, *, together: bool
) -> None:
    outcomes = [an_outcome("hot", late, decided_at=LATER), an_outcome("hot", early)]
    if together:
        await apply(pool, *outcomes)
    else:
        for outcome in outcomes:
            await apply(pool, outcome)
    assert await watched(pool, "hot") == (late is Finding.CONFIRMED)


async def test_an_outcome_says_nothing_of_other_accounts(pool: Pool) -> None:
    await apply(pool, an_outcome("hot"))
    assert not await watched(pool, "cold")


async def test_an_outcome_is_answered_and_the_answer_kept(pool: Pool) -> None:
    outcome = an_outcome("hot")
    [said] = await apply(pool, outcome)
    answer = OutcomeApplied.model_validate_json(said.payload)
    assert (answer.outcome_id, answer.case_id, answer.payee_token) == (outcome.outcome_id, outcome.case_id, "hot")
    assert [dict(row) for row in await pool.fetch("select id, payload from outbox")] == [
        {"id": outcome.outcome_id, "payload": said.payload}
    ]


async def test_second_delivery_of_an_outcome_is_answered_again_and_changes_nothing(pool: Pool) -> None:
    outcome = an_outcome("hot")
    await apply(pool, outcome)
    await apply(pool, an_outcome("hot", Finding.UNFOUNDED, decided_at=LATER))
    await pool.execute("delete from outbox")  # as the relay does once the broker has them
    [said] = await apply(pool, outcome)
    assert OutcomeApplied.model_validate_json(said.payload).outcome_id == outcome.outcome_id
    assert await pool.fetchval("select count(*) from outcome") == 2
    assert await pool.fetchval("select count(*) from outbox") == 1
    assert not await watched(pool, "hot")


async def test_the_same_outcome_twice_in_a_batch_is_answered_once(pool: Pool) -> None:
    outcome = an_outcome("hot")
    assert len(await apply(pool, outcome, outcome)) == 1
    assert await pool.fetchval("select count(*) from outcome") == 1
