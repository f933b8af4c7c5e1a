"""Whoever is in charge of a case is told what happens in it, and whoever no longer is, is left alone."""

from datetime import timedelta
from uuid import UUID

import pytest

from shared.events import VerdictReached
from shared.postgres import Pool
from tests.parts import Door
from tests.service.notifier.builders import a_verdict, an_account, take
from tests.service.notifier.clockwork import fire
from tests.service.notifier.police import a_case, acknowledge, case_of, done, ordered
from tests.service.notifier.reach import CUIZHU_OFFICER, LUOHU_APPROVER, reachable, states, told

DM = "ICBC-SZ-LH-002"


async def alerted(pool: Pool, case_id: str) -> list[tuple[str, str, str]]:
    """Which units were told what, in order; the last is the unit that the alert names."""
    rows = await pool.fetch(
        "select unit, facts ->> 'kind' as kind, facts ->> 'unit' as named from alert where case_id = $1 "
        "order by position",
        UUID(case_id),
    )
    return [(row["unit"], row["kind"], row["named"]) for row in rows]


async def test_money_that_joins_a_case_is_told_to_the_unit_in_charge_too(notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(notifier, a_verdict(account))
    await acknowledge(notifier, case_id)
    await done(notifier, case_id, "transfer", unit="SZ-FT-HQB", reason="x")
    await take(notifier.pool, a_verdict(account))
    assert await alerted(notifier.pool, case_id) == [
        ("SZ-LH-CZ", "opened", "SZ-LH-CZ"),
        ("SZ-FT-HQB", "transferred", "SZ-FT-HQB"),
        ("SZ-LH-CZ", "joined", "SZ-LH-CZ"),
        ("SZ-FT-HQB", "joined", "SZ-FT-HQB"),
    ]


async def test_a_unit_in_charge_whose_own_branch_reports_is_told_once(notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(notifier, a_verdict(account), a_verdict(account), a_verdict(account, branch=DM))
    assert [(unit, kind) for unit, kind, _ in await alerted(notifier.pool, case_id)] == [
        ("SZ-LH-CZ", "opened"),
        ("SZ-LH-CZ", "joined"),
        ("SZ-LH-DM", "joined"),
        ("SZ-LH-CZ", "joined"),
    ]


async def test_officers_of_the_unit_that_gave_a_case_away_are_not_called_for_it_any_more(notifier: Door) -> None:
    await reachable(notifier.pool, CUIZHU_OFFICER)
    await reachable(notifier.pool, CUIZHU_OFFICER, delay=600, position=2, channel="mail")
    case_id = await a_case(notifier)
    await done(notifier, case_id, "transfer", unit="SZ-FT-HQB", reason="x")
    assert (CUIZHU_OFFICER, 600, "moot") in await told(notifier.pool, case_id)


def late(verdict: VerdictReached) -> VerdictReached:
    """The report was written long after the visit."""
    return verdict.model_copy(update={"report": verdict.report.model_copy(update={"late": True})})


@pytest.mark.parametrize("together", [True, False])
async def test_a_customer_at_the_counter_makes_a_case_urgent_that_was_not(notifier: Door, *, together: bool) -> None:
    account = an_account()
    verdicts = [late(a_verdict(account)), a_verdict(account)]
    case_id = await a_case(notifier, *(verdicts if together else verdicts[:1]))
    if not together:
        assert (await case_of(notifier, case_id))["urgency"] == "01"
        await take(notifier.pool, verdicts[1])
    case = await case_of(notifier, case_id)
    assert case["urgency"] == "02"
    [due] = await notifier.rows(
        "select due_at, due_at - now() as left from deadline where case_id = $1 and state = 'running'", UUID(case_id)
    )
    assert due["left"] <= timedelta(seconds=60)
    assert due["due_at"].isoformat() == case["acknowledge_by"].replace("Z", "+00:00")
    await fire(notifier.pool, timedelta(seconds=61))
    assert "escalated" in {kind for _, kind, _ in await alerted(notifier.pool, case_id)}


async def test_a_late_report_gives_nobody_more_time(notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(notifier, a_verdict(account))
    before = await case_of(notifier, case_id)
    await take(notifier.pool, late(a_verdict(account)))
    after = await case_of(notifier, case_id)
    assert (after["urgency"], after["acknowledge_by"]) == ("02", before["acknowledge_by"])


async def test_an_order_that_takes_a_case_on_leaves_the_call_for_its_approval_on_its_way(notifier: Door) -> None:
    await reachable(notifier.pool, CUIZHU_OFFICER)
    await reachable(notifier.pool, LUOHU_APPROVER)
    case_id = await a_case(notifier, a_verdict(an_account(), amount_fen=100_000_001))
    assert (await ordered(notifier, case_id))["status"] == "proposed"
    assert await states(notifier.pool, case_id) == sorted([(CUIZHU_OFFICER, "moot"), (LUOHU_APPROVER, "pending")])


async def left(door: Door, case_id: str) -> timedelta:
    """How long until the only deadline of a case."""
    sql = "select due_at - now() as left from deadline where case_id = $1 and state = 'running'"
    [due] = await door.rows(sql, UUID(case_id))
    found: timedelta = due["left"]
    return found


async def test_a_customer_at_the_counter_gives_nobody_more_time(notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(notifier, late(a_verdict(account)))
    for table, column in (("fraud_case", "acknowledge_by"), ("deadline", "due_at")):
        await notifier.pool.execute(f"update {table} set {column} = {column} - interval '270 seconds'")
    before = await case_of(notifier, case_id)
    await take(notifier.pool, a_verdict(account))
    assert await left(notifier, case_id) <= timedelta(seconds=30)
    after = await case_of(notifier, case_id)
    assert (after["urgency"], after["acknowledge_by"]) == ("02", before["acknowledge_by"])


async def test_who_was_told_already_is_not_told_again_at_once_when_a_case_becomes_urgent(notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(notifier, late(a_verdict(account)))
    await fire(notifier.pool, timedelta(minutes=5, seconds=1))
    before = await left(notifier, case_id)
    await take(notifier.pool, a_verdict(account))
    assert before - await left(notifier, case_id) < timedelta(seconds=5)


async def test_an_order_is_due_sooner_once_a_customer_is_at_the_counter(notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(notifier, late(a_verdict(account)))
    await acknowledge(notifier, case_id)
    assert await left(notifier, case_id) > timedelta(minutes=29)
    await take(notifier.pool, a_verdict(account))
    assert await left(notifier, case_id) <= timedelta(minutes=5)
