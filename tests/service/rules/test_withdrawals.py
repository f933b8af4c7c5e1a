"""Cases that the police reopen: what they said is taken back, in whatever order it is heard."""

from datetime import timedelta

import pytest

from services.rules import list_store
from shared.events import Finding, Level, OutcomeApplied, OutcomeDecided
from shared.outbox import new_id
from shared.postgres import Pool
from tests.service.rules.builders import NOW, a_filed_report, an_outcome, apply, find, judge, see
from tests.service.rules.findings import LATER, LATEST, all_orders, everything, standing


def withdrawn(outcome: OutcomeDecided) -> OutcomeDecided:
    """The case was reopened: what was said of it is taken back."""
    changes = {"outcome_id": new_id(), "decided_at": LATER, "withdraws": outcome.outcome_id}
    return outcome.model_copy(update=changes)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("finding", Finding)
async def test_an_outcome_that_was_withdrawn_counts_no_more_whichever_is_heard_first(
    pool: Pool, finding: Finding, order: tuple[int, ...], *, together: bool
) -> None:
    report = a_filed_report(payee_token="hot")
    await see(pool, report)
    said = an_outcome("hot", finding, report_ids=(report.report_id,))
    arriving = [(said, withdrawn(said))[place] for place in order]
    if together:
        await find(pool, *arriving)
    else:
        for outcome in arriving:
            await find(pool, outcome)
    before = await everything(pool)
    await find(pool, *arriving)
    assert await everything(pool) == before, "a repetition changes nothing"
    assert await standing(pool, "hot") == (False, False, False, "")
    assert await pool.fetchval("select finding from sighting") is None
    assert await pool.fetchval("select count(*) from aftermath where finding is not null") == 0
    assert await pool.fetchval("select count(*) from list_entry where ended_at is null") == 0


@pytest.mark.parametrize("order", all_orders())
@pytest.mark.parametrize("first", Finding)
@pytest.mark.parametrize("last", Finding)
async def test_a_reopened_case_that_is_closed_again_says_what_it_said_last(
    pool: Pool, first: Finding, last: Finding, order: tuple[int, ...]
) -> None:
    report, case = a_filed_report(payee_token="hot"), new_id()
    await see(pool, report)
    said = an_outcome("hot", first, case_id=case, report_ids=(report.report_id,), scam_type="a")
    again = an_outcome("hot", last, case_id=case, report_ids=(report.report_id,), decided_at=LATEST, scam_type="b")
    decided = [said, withdrawn(said), again]
    for place in order:
        await find(pool, decided[place])
    confirmed = last is Finding.CONFIRMED
    assert await standing(pool, "hot") == (confirmed, not confirmed, confirmed, "b" if confirmed else "")
    [label] = await pool.fetch("select finding, scam_type, found_at from aftermath")
    assert tuple(label) == (last, "b", LATEST)
    assert await pool.fetchval("select finding from sighting") == last


@pytest.mark.parametrize("order", all_orders())
async def test_a_confirmed_case_counts_again_once_the_unfounded_one_after_it_is_withdrawn(
    pool: Pool, order: tuple[int, ...]
) -> None:
    confirmed = an_outcome("hot", scam_type="a", decided_at=NOW - timedelta(hours=1))
    unfounded = an_outcome("hot", Finding.UNFOUNDED)
    decided = [confirmed, unfounded, withdrawn(unfounded)]
    for place in order:
        await find(pool, decided[place])
    assert await standing(pool, "hot") == (True, False, True, "a")


async def test_a_withdrawal_brings_back_nothing_that_an_analyst_ended(pool: Pool) -> None:
    unfounded = an_outcome("hot", Finding.UNFOUNDED, decided_at=LATER)
    await find(pool, an_outcome("hot"))
    async with pool.acquire() as connection:
        await list_store.end_entries(connection, "analyst-1", NOW, token="hot")
    await find(pool, unfounded, withdrawn(unfounded))
    assert await standing(pool, "hot") == (True, False, False, "brushing_rebates")


async def test_a_withdrawal_is_answered_like_any_outcome(pool: Pool) -> None:
    taking_back = withdrawn(an_outcome("hot"))
    for _ in range(2):
        [row] = (await apply(pool, taking_back)).rows
        answer = OutcomeApplied.model_validate_json(row.payload)
        assert (answer.outcome_id, answer.case_id) == (taking_back.outcome_id, taking_back.case_id)


async def test_reports_are_judged_again_once_an_account_counts_as_confirmed_again(pool: Pool) -> None:
    confirmed = an_outcome("hot", decided_at=NOW - timedelta(hours=1))
    unfounded = an_outcome("hot", Finding.UNFOUNDED, decided_at=NOW - timedelta(minutes=30))
    await find(pool, confirmed, unfounded)
    report = a_filed_report(payee_token="hot")
    [verdict] = await judge(pool, report)
    assert verdict.level is Level.CLEAR
    taken = await apply(pool, withdrawn(unfounded), now=LATER - timedelta(minutes=30))
    assert [(one.event.report.report_id, one.event.level) for one in taken.again] == [(report.report_id, Level.ALERT)]
