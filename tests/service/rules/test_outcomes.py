"""What the police found, and how visits ended: remembered once, in whatever order they arrive."""

from datetime import timedelta

import pytest

from services.rules import list_store, outcome_store, past_store
from services.rules.conditions import ConditionKind, Subject
from shared.events import DispositionOutcome, Finding, OutcomeDecided
from shared.outbox import new_id
from shared.postgres import Pool
from tests.service.rules.builders import (
    NOW,
    YEAR,
    a_disposition,
    a_filed_report,
    an_entry,
    an_outcome,
    dispose,
    find,
    see,
)
from tests.service.rules.findings import LATER, LATEST, all_orders, everything, standing


async def test_a_confirmed_payee_is_watched_and_blocked_for_the_time_one_says(pool: Pool) -> None:
    outcome = an_outcome("hot")
    await find(pool, outcome)
    assert await standing(pool, "hot") == (True, False, True, "brushing_rebates")
    report = a_filed_report(payee_token="hot")
    async with pool.acquire() as connection:
        found = await past_store.conditions(connection, [report], NOW)
        assert await past_store.conditions(connection, [report], NOW + YEAR) == {}
    [condition] = found[report.report_id]
    assert (condition.kind, condition.subject) == (ConditionKind.OVERRIDABLE_BLOCK, Subject.PAYEE)
    assert (condition.scam_type, condition.author) == ("brushing_rebates", "公安机关")
    assert str(outcome.case_id) not in condition.reason  # every bank's tellers read it
    assert condition.expires_at == NOW + YEAR


async def test_a_finding_counts_from_the_moment_it_is_heard_of_whatever_the_clock_of_the_police_says(
    pool: Pool,
) -> None:
    ahead = NOW + timedelta(days=9999)
    await find(pool, an_outcome("hot", decided_at=ahead))
    assert await pool.fetchval("select starts_at <= now() from list_entry")


async def test_an_account_found_unfounded_later_is_no_longer_watched(pool: Pool) -> None:
    await find(pool, an_outcome("hot"))
    await find(pool, an_outcome("hot", Finding.UNFOUNDED, decided_at=LATER))
    assert await standing(pool, "hot") == (False, True, False, "")


async def test_an_outcome_says_nothing_of_other_accounts(pool: Pool) -> None:
    await find(pool, an_outcome("hot"), an_outcome("warm", Finding.UNFOUNDED))
    assert await standing(pool, "cold") == (False, False, False, "")


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", all_orders())
@pytest.mark.parametrize("last", Finding)
async def test_the_outcome_decided_last_counts_in_whatever_order_they_arrive(
    pool: Pool, order: tuple[int, ...], last: Finding, *, together: bool
) -> None:
    other = next(finding for finding in Finding if finding is not last)
    decided = [
        an_outcome("hot", last, scam_type="a"),
        an_outcome("hot", other, scam_type="b", decided_at=LATER),
        an_outcome("hot", last, scam_type="c", decided_at=LATEST),
    ]
    arriving = [decided[place] for place in order]
    if together:
        await find(pool, *arriving)
    else:
        for outcome in arriving:
            await find(pool, outcome)
    confirmed = last is Finding.CONFIRMED
    assert await standing(pool, "hot") == (confirmed, not confirmed, confirmed, "c" if confirmed else "")


@pytest.mark.parametrize("order", all_orders())
async def test_a_case_that_is_confirmed_taken_back_and_confirmed_again_has_one_entry_in_force(
    pool: Pool, order: tuple[int, ...]
) -> None:
    case = new_id()
    decided = [
        an_outcome("hot", case_id=case),
        an_outcome("hot", Finding.UNFOUNDED, case_id=case, decided_at=LATER),
        an_outcome("hot", case_id=case, scam_type="c", decided_at=LATEST),
    ]
    for place in order:
        await find(pool, decided[place])
    [entry] = await pool.fetch("select scam_type, expires_at, ended_at from list_entry")
    assert tuple(entry) == ("c", LATEST + YEAR, None)


async def test_second_delivery_of_outcomes_changes_nothing(pool: Pool) -> None:
    report = a_filed_report(payee_token="hot")
    await see(pool, report)
    first = an_outcome("hot", report_ids=(report.report_id,))
    second = an_outcome("hot", Finding.UNFOUNDED, decided_at=LATER, report_ids=(report.report_id,))
    await find(pool, first)
    await find(pool, second)
    before = await everything(pool)
    await find(pool, first)
    await find(pool, second, first)
    assert await everything(pool) == before


async def test_the_same_outcome_twice_in_a_batch_counts_once(pool: Pool) -> None:
    outcome = an_outcome("hot")
    await find(pool, outcome, outcome)
    assert await pool.fetchval("select count(*) from outcome") == 1
    assert await pool.fetchval("select count(*) from list_entry") == 1


async def test_second_delivery_does_not_bring_back_what_an_analyst_ended_even_under_another_setting(
    pool: Pool,
) -> None:
    outcome = an_outcome("hot")
    await find(pool, outcome)
    async with pool.acquire() as connection:
        await list_store.end_entries(connection, "analyst-1", NOW, token="hot")
        await outcome_store.apply_outcomes(connection, [outcome], 2 * YEAR)
    assert await standing(pool, "hot") == (True, False, False, "brushing_rebates")


async def test_an_unfounded_case_ends_no_entry_of_an_analyst(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await list_store.add_entries(connection, [an_entry("hot", expires_at=None)])
    await find(pool, an_outcome("hot"), an_outcome("hot", Finding.UNFOUNDED, decided_at=LATER))
    assert await standing(pool, "hot") == (False, True, True, "")
    assert await pool.fetchval("select count(*) from list_entry where ended_at is null") == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_report_has_the_finding_decided_last_whether_it_comes_before_or_after_them(
    pool: Pool, order: tuple[int, ...]
) -> None:
    report = a_filed_report(payee_token="hot")
    found: list[OutcomeDecided] = [
        an_outcome("hot", report_ids=(report.report_id,)),
        an_outcome("hot", Finding.UNFOUNDED, decided_at=LATER, report_ids=(report.report_id,), scam_type=None),
    ]
    await find(pool, found[order[0]])
    await see(pool, report)
    await find(pool, found[order[1]])
    assert await pool.fetchval("select finding from sighting") == "unfounded"
    [label] = await pool.fetch("select finding, scam_type, found_at from aftermath")
    assert tuple(label) == ("unfounded", None, LATER)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("together", [True, False])
async def test_of_two_dispositions_of_a_report_the_one_recorded_first_counts(
    pool: Pool, order: tuple[int, ...], *, together: bool
) -> None:
    report = a_filed_report()
    ended = [
        a_disposition(report, DispositionOutcome.CANCELLED),
        a_disposition(report, DispositionOutcome.PROCEEDED, LATER),
    ]
    if together:
        await dispose(pool, *(ended[place] for place in order))
        await see(pool, report)
    else:
        await dispose(pool, ended[order[0]])
        await see(pool, report)
        await dispose(pool, ended[order[1]])
    assert await pool.fetchval("select disposition from sighting") == "cancelled"
    assert await pool.fetchval("select disposition from aftermath") == "cancelled"


async def test_a_report_may_have_both_a_disposition_and_a_finding(pool: Pool) -> None:
    report = a_filed_report(payee_token="hot")
    await dispose(pool, a_disposition(report))
    await find(pool, an_outcome("hot", report_ids=(report.report_id,)))
    await see(pool, report)
    [row] = await pool.fetch("select disposition, finding from sighting")
    assert tuple(row) == ("cancelled", "confirmed")
    assert await pool.fetchval("select count(*) from aftermath") == 1


async def test_second_delivery_of_a_disposition_changes_nothing(pool: Pool) -> None:
    report = a_filed_report()
    event = a_disposition(report)
    await see(pool, report)
    await dispose(pool, event)
    before = await everything(pool)
    await dispose(pool, event, event)
    assert await everything(pool) == before
