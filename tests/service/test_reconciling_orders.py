"""The reconciler among cases, orders, answers and findings; and one tally a round, whoever takes it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.intake import order_store
from services.rules import reconciling as rules_reconciling
from shared.events import FeedbackReceived, Tallied, TallyTaken
from shared.kafka import fits
from shared.metrics import Shelf
from shared.outbox import Outgoing
from shared.postgres import Connection
from shared.reconciling import Ear, Reconciler
from shared.settings import Settings
from shared.share import ReconcilingMetrics, Said, Share
from shared.tally import Count, Windows
from tests.parts import KEY_BYTES, NOWHERE, DatabaseServer, Door, notifier_door
from tests.service.notifier import police
from tests.service.notifier.builders import a_success
from tests.service.town import Town, a_town, reports_of


@pytest.fixture
async def town(server: DatabaseServer) -> AsyncIterator[Town]:
    async with a_town(server) as opened:
        yield opened


@pytest.fixture
async def door(town: Town) -> AsyncIterator[Door]:
    """Yield the police's door of the town."""
    async with notifier_door(town.dsns["notifier"]) as opened:
        yield opened


async def ordered(town: Town, door: Door) -> dict[str, Any]:
    """Have a report become a case, and an officer order a stop."""
    await town.file(*reports_of(1))
    [case] = await police.inbox(door)
    order = await police.ordered(door, case["id"])
    await town.carry(await town.promised("notifier"))
    return order


async def answered(town: Town, order: dict[str, Any]) -> FeedbackReceived:
    """Have the bank answer at its door, and nobody hear of it."""
    feedback = a_success(order)
    async with town.pools["intake"].acquire() as connection:
        assert await order_store.insert_feedback(connection, feedback, b"")
    return feedback


async def test_an_order_that_intake_lost_is_sent_again_and_waits_for_its_answer(town: Town, door: Door) -> None:
    order = await ordered(town, door)
    await town.pools["intake"].execute("delete from bank_order")
    await town.pools["notifier"].execute("delete from outbox")
    await town.round()
    assert [str(row["id"]) for row in await town.pools["intake"].fetch("select id from bank_order")] == [order["id"]]
    assert [str(row.id) for row in await town.promised("notifier")] == [order["id"]]
    await town.round()
    assert town.gaps() == {}


async def test_an_answer_that_notifier_never_heard_of_is_sent_again(town: Town, door: Door) -> None:
    order = await ordered(town, door)
    await answered(town, order)
    await town.round()
    [row] = await town.pools["notifier"].fetch("select status from bank_order")
    assert row["status"] == "executed"
    assert await town.pools["notifier"].fetchval("select sum(fen) from ledger where kind = 'stopped'") == 1000
    await town.round()
    assert town.gaps() == {}
    assert await town.owed() == 0


async def test_an_order_version_that_intake_missed_is_said_again(town: Town, door: Door) -> None:
    order = await ordered(town, door)
    await answered(town, order)
    await town.round()
    await town.pools["intake"].execute("update bank_order set version = 1, status = 'pending'")
    await town.round()
    [row] = await town.pools["intake"].fetch("select version, status from bank_order")
    assert dict(row) == {"version": 2, "status": "executed"}
    await town.round()
    assert town.gaps() == {}
    assert await town.owed() == 0


async def test_a_proposed_order_is_no_gap_though_no_bank_knows_it(town: Town, door: Door) -> None:
    await ordered(town, door)
    await town.pools["intake"].execute("delete from bank_order")
    await town.pools["notifier"].execute("update bank_order set status = 'proposed'")
    await town.round()
    assert town.gaps() == {}


async def test_a_case_version_that_intake_missed_is_announced_again(town: Town, door: Door) -> None:
    await town.file(*reports_of(1))
    [case] = await police.inbox(door)
    await police.acknowledge(door, case["id"])
    assert await town.pools["intake"].fetchval("select status from case_view") == "open"
    await town.round()
    assert await town.pools["intake"].fetchval("select status from case_view") == "acknowledged"
    await town.round()
    assert town.gaps() == {}


async def test_a_case_that_changed_just_now_is_left_in_peace(town: Town, door: Door) -> None:
    await town.file(*reports_of(1))
    [case] = await police.inbox(door)
    await police.acknowledge(door, case["id"])
    await town.pools["notifier"].execute("update fraud_case set changed_at = now() + interval '1 minute'")
    town.carried.clear()
    await town.round()
    assert town.gaps() == {}
    assert town.carried == []


async def test_a_finding_that_rules_lost_is_applied_again(town: Town, door: Door) -> None:
    await town.file(*reports_of(1))
    [case] = await police.inbox(door)
    closed = await police.close(door, case["id"])
    assert closed.status_code == 200, closed.text
    await town.carry(await town.promised("notifier"))
    for table in ("outcome", "list_entry"):
        await town.pools["rules"].execute(f"delete from {table}")
    await town.round()
    [outcome] = await town.pools["rules"].fetch("select id from standing_outcome")
    assert outcome["id"] == await town.pools["notifier"].fetchval("select outcome_id from fraud_case")
    assert await town.pools["rules"].fetchval("select count(*) from list_entry where ended_at is null") == 1
    await town.round()
    assert town.gaps() == {}
    assert await town.owed() == 0


async def test_a_finding_that_was_taken_back_is_no_gap(town: Town, door: Door) -> None:
    await town.file(*reports_of(1))
    [case] = await police.inbox(door)
    await police.close(door, case["id"])
    await police.done(door, case["id"], "reopen", police.LUOHU, reason="核查有误")
    await town.carry(await town.promised("notifier"))
    await town.round()
    assert town.gaps() == {}


def replica(town: Town, share: Share, said: list[Outgoing], hours: int = 48) -> Reconciler:
    """Return a replica of rules that says what it has to a list."""
    settings = Settings(
        database_url="",
        kafka_bootstrap_servers=NOWHERE,
        port=0,
        narrative_keys=f"n1:{KEY_BYTES}",
        reconcile_every_seconds=3600,
        reconcile_hours=hours,
    )
    metrics = ReconcilingMetrics(Shelf("rules"), share)
    return Reconciler(town.pools["rules"], said.extend, Ear(), share, settings, metrics)


async def test_of_two_replicas_one_says_the_tally_of_a_round(town: Town) -> None:
    said: list[Outgoing] = []
    for one in [replica(town, rules_reconciling.SHARE, said) for _ in range(2)]:
        await one.say(datetime.now(UTC))
    [tally] = [TallyTaken.model_validate_json(row.payload) for row in said]
    assert tally.service == "rules"


@pytest.mark.parametrize("hours", [48, 35 * 24])
async def test_the_tally_of_a_busy_city_fits_into_a_record_however_far_back_it_goes(town: Town, hours: int) -> None:
    async def busy(_connection: Connection, windows: Windows, _before: datetime) -> list[Count]:
        return [Count(place, 10_000, 2**52 - 1, 10**12) for place in windows.places]

    kinds = (Tallied.REPORTS, Tallied.DISPOSITIONS, Tallied.FEEDBACK)
    share = Share("notifier", [Said(one, busy) for one in kinds])
    assert fits(await replica(town, share, [], hours).taken(datetime.now(UTC)))
