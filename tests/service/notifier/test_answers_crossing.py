"""Orders that cross at the bank: what frees an account and what holds it, answered in whichever order."""

from datetime import timedelta
from typing import Any

import pytest

from tests.parts import Door
from tests.service.notifier.builders import a_failure, a_success, hear, money, now
from tests.service.notifier.clockwork import alerts, fire
from tests.service.notifier.police import approved, case_of, clocks, close, new_case, ordered, orders_of

MINUTE = timedelta(minutes=1)


async def a_stop(door: Door) -> tuple[str, dict[str, Any]]:
    """A stop that the bank executed ten minutes ago."""
    case_id = await new_case(door)
    stop = await ordered(door, case_id)
    await hear(door.pool, a_success(stop, executed_at=now() - 10 * MINUTE))
    return case_id, stop


async def a_freeze_under_way(door: Door, case_id: str) -> dict[str, Any]:
    return await approved(door, await ordered(door, case_id, "freeze"))


async def holding(door: Door, case_id: str) -> list[str]:
    """The kinds of a case's orders that hold an account."""
    rows = await orders_of(door, case_id)
    kinds = ("stop", "extend_stop", "freeze", "extend_freeze")
    return [row["kind"] for row in rows if row["status"] == "executed" and not row["ended_at"] and row["kind"] in kinds]


async def waiting(door: Door, case_id: str) -> list[dict[str, Any]]:
    return [row for row in (await case_of(door, case_id))["orders"] if row["status"] == "pending"]


async def test_an_unfounded_case_unfreezes_what_was_frozen_while_the_stops_release_was_under_way(
    notifier: Door,
) -> None:
    case_id, _ = await a_stop(notifier)
    freeze = await a_freeze_under_way(notifier, case_id)
    release = await ordered(notifier, case_id, "release_stop")
    await hear(notifier.pool, a_success(freeze))
    await close(notifier, case_id, "unfounded")
    await hear(notifier.pool, a_success(release))
    [unfreeze] = await waiting(notifier, case_id)
    await hear(notifier.pool, a_failure(unfreeze))
    assert "release" in await clocks(notifier, case_id), "the account is still frozen"
    await hear(notifier.pool, a_success(await ordered(notifier, case_id, "unfreeze")))
    assert await holding(notifier, case_id) == []
    assert "release" not in await clocks(notifier, case_id)


@pytest.mark.parametrize("kind", ["extend_stop", "freeze"])
async def test_what_the_bank_does_after_an_officer_freed_the_account_is_freed_too(notifier: Door, kind: str) -> None:
    case_id, _ = await a_stop(notifier)
    crossing = await ordered(notifier, case_id, kind)
    if crossing["status"] == "proposed":
        crossing = await approved(notifier, crossing)
    release = await ordered(notifier, case_id, "release_stop")
    await hear(notifier.pool, a_success(release, executed_at=now() - MINUTE))
    await hear(notifier.pool, a_success(crossing))
    [again] = await waiting(notifier, case_id)
    assert again["kind"] == ("unfreeze" if kind == "freeze" else "release_stop")
    await hear(notifier.pool, a_success(again))
    assert await holding(notifier, case_id) == []
    totals = await money(notifier.pool)
    assert totals["released"] == totals["stopped"]


async def test_an_extension_that_the_bank_did_after_the_release_is_not_taken_for_released(notifier: Door) -> None:
    case_id, _ = await a_stop(notifier)
    extension = await ordered(notifier, case_id, "extend_stop")
    release = await ordered(notifier, case_id, "release_stop")
    await hear(notifier.pool, a_success(extension, executed_at=now() - MINUTE))
    await hear(notifier.pool, a_success(release, executed_at=now() - 2 * MINUTE))
    assert await holding(notifier, case_id) == ["extend_stop"]
    [again] = await waiting(notifier, case_id)
    assert (again["kind"], again["acts_on"]) == ("release_stop", extension["id"])


async def test_an_extension_answered_after_the_release_that_ended_it_holds_nothing(notifier: Door) -> None:
    case_id, _ = await a_stop(notifier)
    extension = await ordered(notifier, case_id, "extend_stop")
    release = await ordered(notifier, case_id, "release_stop")
    await hear(notifier.pool, a_success(release, executed_at=now() - MINUTE))
    await hear(notifier.pool, a_success(extension, executed_at=now() - 2 * MINUTE))
    assert (await holding(notifier, case_id), await waiting(notifier, case_id)) == ([], [])
    assert await clocks(notifier, case_id) == []
    totals = await money(notifier.pool)
    assert totals["released"] == totals["stopped"] == 9_800_000


async def test_a_stop_answered_after_the_freeze_that_took_its_place_does_not_run_out(notifier: Door) -> None:
    case_id, _ = await a_stop(notifier)
    extension = await ordered(notifier, case_id, "extend_stop")
    freeze = await a_freeze_under_way(notifier, case_id)
    await hear(notifier.pool, a_success(freeze))
    await hear(notifier.pool, a_success(extension, executed_at=now() - MINUTE))
    assert await holding(notifier, case_id) == ["freeze"]
    await fire(notifier.pool, timedelta(hours=49))
    assert await alerts(notifier.pool, case_id, "expired", "expiring") == []


@pytest.mark.parametrize("kind", ["release_stop", "unfreeze"])
async def test_freeing_that_an_officer_orders_has_a_deadline_that_a_failure_does_not_meet(
    notifier: Door, kind: str
) -> None:
    case_id, _ = await a_stop(notifier)
    if kind == "unfreeze":
        await hear(notifier.pool, a_success(await a_freeze_under_way(notifier, case_id)))
    await hear(notifier.pool, a_failure(await ordered(notifier, case_id, kind)))
    assert "release" in await clocks(notifier, case_id)
    await fire(notifier.pool, timedelta(minutes=31))
    assert len(await alerts(notifier.pool, case_id, "release_overdue")) == 1
    await hear(notifier.pool, a_success(await ordered(notifier, case_id, kind)))
    assert "release" not in await clocks(notifier, case_id)
