"""Whom an alert is sent to: the unit's own addresses, and its officers', step by step."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from httpx2 import Response

from services.notifier.alerting import alert, alert_store
from services.notifier.alerting.alert_store import Alert
from services.notifier.cases import store
from shared.outbox import new_id
from shared.postgres import Pool
from tests.parts import Door
from tests.service.notifier.builders import a_verdict, an_account, now, take
from tests.service.notifier.police import acknowledge, close, give
from tests.service.notifier.reach import (
    AUDITOR_NAME,
    CITY_OFFICER,
    CUIZHU_OFFICER,
    LUOHU_APPROVER,
    LUOHU_SUPERVISOR,
    add_officer,
    on_duty,
    reachable,
    reachable_unit,
    told,
)

COLLEAGUE = "温若溪"
PATHS = {"SZ-LH-CZ": "/SZ/SZ-LH/SZ-LH-CZ/", "SZ-LH": "/SZ/SZ-LH/", "SZ": "/SZ/"}


async def a_case(pool: Pool) -> UUID:
    taken = await take(pool, a_verdict(account=an_account()))
    return taken.placed[0].case_id


async def alert_of(pool: Pool, case_id: UUID, kind: str, unit: str, *roles: str) -> None:
    """Tell a unit of a case as a whole."""
    alert_id = new_id()
    async with pool.acquire() as connection, connection.transaction():
        case = await store.locked_case_seen_by(connection, case_id, "/SZ/")
        assert case is not None
        facts = alert.case_facts(alert_id, case, kind, unit, "未在时限内签收")
        one = Alert(alert_id, case_id, None, unit, PATHS[unit], facts, now(), roles)
        await alert_store.insert_alerts(connection, [one])


async def test_who_is_on_duty_is_told_and_the_colleague_off_duty_is_not(pool: Pool) -> None:
    await add_officer(pool, COLLEAGUE, "SZ-LH-CZ")
    await reachable(pool, CUIZHU_OFFICER, COLLEAGUE, LUOHU_SUPERVISOR)
    await on_duty(pool, COLLEAGUE)
    await on_duty(pool, CUIZHU_OFFICER, since=-13)
    await on_duty(pool, CUIZHU_OFFICER, since=1)
    assert await told(pool, await a_case(pool)) == [(COLLEAGUE, 0, "pending")]


async def test_all_who_are_on_duty_are_told(pool: Pool) -> None:
    await add_officer(pool, COLLEAGUE, "SZ-LH-CZ")
    await reachable(pool, CUIZHU_OFFICER, COLLEAGUE)
    await on_duty(pool, COLLEAGUE, CUIZHU_OFFICER)
    assert [who for who, _, _ in await told(pool, await a_case(pool))] == sorted([COLLEAGUE, CUIZHU_OFFICER])


async def test_an_officers_addresses_are_due_one_after_the_other(pool: Pool) -> None:
    await reachable(pool, CUIZHU_OFFICER, channel="wecom")
    await reachable(pool, CUIZHU_OFFICER, delay=30, position=2)
    await reachable(pool, CUIZHU_OFFICER, delay=90, position=3, channel="mail")
    await on_duty(pool, CUIZHU_OFFICER)
    case_id = await a_case(pool)
    assert await told(pool, case_id) == [(CUIZHU_OFFICER, delay, "pending") for delay in (0, 30, 90)]


async def test_with_nobody_on_duty_all_officers_of_the_unit_are_told(pool: Pool) -> None:
    await add_officer(pool, COLLEAGUE, "SZ-LH-CZ")
    await add_officer(pool, "旁听者", "SZ-LH-CZ", "auditor")
    await reachable(pool, CUIZHU_OFFICER, COLLEAGUE, "旁听者", LUOHU_SUPERVISOR)
    assert [who for who, _, _ in await told(pool, await a_case(pool))] == sorted([COLLEAGUE, CUIZHU_OFFICER])


async def test_with_nobody_reachable_on_duty_the_rest_of_the_unit_is_told(pool: Pool) -> None:
    await add_officer(pool, COLLEAGUE, "SZ-LH-CZ")
    await reachable(pool, CUIZHU_OFFICER)
    await on_duty(pool, COLLEAGUE)
    assert await told(pool, await a_case(pool)) == [(CUIZHU_OFFICER, 0, "pending")]


async def test_with_nobody_reachable_in_the_unit_the_nearest_unit_above_is_told(pool: Pool) -> None:
    await reachable(pool, LUOHU_APPROVER, LUOHU_SUPERVISOR, CITY_OFFICER, AUDITOR_NAME)
    await on_duty(pool, CUIZHU_OFFICER)
    await on_duty(pool, LUOHU_APPROVER, unit="SZ-LH")
    assert await told(pool, await a_case(pool)) == [(LUOHU_APPROVER, 0, "pending")]


async def test_officers_revoked_moved_away_or_without_address_are_passed_over(pool: Pool) -> None:
    await add_officer(pool, COLLEAGUE, "SZ-LH-CZ")
    await reachable(pool, CUIZHU_OFFICER, COLLEAGUE, CITY_OFFICER, LUOHU_SUPERVISOR)
    await on_duty(pool, CUIZHU_OFFICER, COLLEAGUE)
    await pool.execute("update officer set revoked_at = now() where name = $1", CUIZHU_OFFICER)
    await pool.execute("update officer set unit = 'SZ-FT' where name = $1", COLLEAGUE)
    await pool.execute(
        "update target set removed_at = now() where officer = (select id from officer where name = $1)",
        LUOHU_SUPERVISOR,
    )
    assert await told(pool, await a_case(pool)) == [(CITY_OFFICER, 0, "pending")]


async def test_the_units_own_address_is_told_beside_its_officers(pool: Pool) -> None:
    await reachable_unit(pool, "SZ-LH", "SZ")
    await reachable(pool, CUIZHU_OFFICER)
    assert await told(pool, await a_case(pool)) == [("SZ-LH", 0, "pending"), (CUIZHU_OFFICER, 0, "pending")]


async def test_an_alert_for_roles_reaches_whoever_has_them_on_duty_or_not(pool: Pool) -> None:
    await reachable(pool, CUIZHU_OFFICER, LUOHU_APPROVER, LUOHU_SUPERVISOR)
    case_id = await a_case(pool)
    await pool.execute("delete from delivery")
    await on_duty(pool, LUOHU_APPROVER, unit="SZ-LH")
    await alert_of(pool, case_id, "order_overdue", "SZ-LH", "supervisor")
    assert await told(pool) == [(LUOHU_SUPERVISOR, 0, "pending")]


async def test_an_alert_for_roles_that_a_unit_lacks_goes_up(pool: Pool) -> None:
    await reachable(pool, CUIZHU_OFFICER, LUOHU_SUPERVISOR)
    case_id = await a_case(pool)
    await pool.execute("delete from delivery")
    await alert_of(pool, case_id, "order_overdue", "SZ-LH-CZ", "supervisor")
    assert await told(pool) == [(LUOHU_SUPERVISOR, 0, "pending")]


async def test_an_escalated_alert_reaches_the_unit_above(pool: Pool) -> None:
    await reachable(pool, CUIZHU_OFFICER)
    await reachable(pool, LUOHU_SUPERVISOR)
    await reachable(pool, LUOHU_SUPERVISOR, delay=60, position=2, channel="mail")
    case_id = await a_case(pool)
    await alert_of(pool, case_id, "escalated", "SZ-LH")
    assert await told(pool) == sorted(
        [(CUIZHU_OFFICER, 0, "pending"), (LUOHU_SUPERVISOR, 0, "pending"), (LUOHU_SUPERVISOR, 60, "pending")]
    )


async def test_a_batch_sends_each_alert_by_its_own_unit(pool: Pool) -> None:
    await reachable(pool, CUIZHU_OFFICER, "何婉仪", CITY_OFFICER)
    branches = ("ICBC-SZ-LH-001", "ICBC-SZ-LH-002", "CMB-SZ-FT-001")
    taken = await take(pool, *(a_verdict(account=an_account(), branch=branch) for branch in branches))
    found = {placed.unit: await told(pool, placed.case_id) for placed in taken.placed}
    assert found == {
        "SZ-LH-CZ": [(CUIZHU_OFFICER, 0, "pending")],
        "SZ-LH-DM": [("何婉仪", 0, "pending")],
        "SZ-FT-HQB": [(CITY_OFFICER, 0, "pending")],
    }


@pytest.mark.parametrize("by", ["acknowledge", "order", "close"])
async def test_once_a_case_is_taken_on_no_further_step_goes_out(notifier: Door, by: str) -> None:
    pool = notifier.pool
    await reachable(pool, CUIZHU_OFFICER, delay=600)
    await reachable(pool, CUIZHU_OFFICER, delay=1200, position=2, channel="mail")
    case_id, other = str(await a_case(pool)), await a_case(pool)
    steps: dict[str, Callable[..., Awaitable[Response]]] = {"acknowledge": acknowledge, "order": give, "close": close}
    assert (await steps[by](notifier, case_id)).status_code in (200, 201)
    assert await told(pool, case_id) == [(CUIZHU_OFFICER, 600, "moot"), (CUIZHU_OFFICER, 1200, "moot")]
    assert {state for _, _, state in await told(pool, other)} == {"pending"}


async def test_of_a_case_that_is_taken_on_only_the_first_step_is_told(notifier: Door) -> None:
    account = an_account()
    taken = await take(notifier.pool, a_verdict(account=account))
    await acknowledge(notifier, str(taken.placed[0].case_id))
    await reachable(notifier.pool, CUIZHU_OFFICER, delay=600)
    await reachable(notifier.pool, CUIZHU_OFFICER, delay=1200, position=2, channel="mail")
    await take(notifier.pool, a_verdict(account=account))
    assert await told(notifier.pool) == [(CUIZHU_OFFICER, 600, "pending")]
