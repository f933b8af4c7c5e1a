"""The watch: several on one database, none of them leading; each deadline is followed up once, and in time."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from services.notifier.clock import escalation
from services.notifier.clock.clock import Stage, Urgency
from services.notifier.clock.watch import HouseRules
from services.notifier.metrics import Metrics
from shared.events import CaseChanged, OrderChanged
from shared.outbox import Outgoing
from shared.postgres import Pool, open_pool
from tests.parts import Door, notifier_door
from tests.service.notifier.builders import a_success, connected, hear, now, until
from tests.service.notifier.clockwork import alerts, deadlines, fire, open_cases, watching
from tests.service.notifier.police import acknowledge, new_case, ordered

MINUTE = timedelta(minutes=1)
CASES = 100


@asynccontextmanager
async def two_watches(dsn: str) -> AsyncIterator[tuple[Metrics, Metrics]]:
    """Watches as two replicas have them, each with a pool of its own."""
    pools = [await open_pool(dsn, "notifier", most=4) for _ in range(2)]
    metrics = (Metrics(), Metrics())
    watches = [watching(pool, counts) for pool, counts in zip(pools, metrics, strict=True)]
    for watch in watches:
        watch.open()
    yield metrics
    for watch in watches:
        await watch.close()
    for pool in pools:
        await pool.close()


async def set_due(pool: Pool, seconds: float, spread: float = 0.0) -> None:
    """Let all that runs be due in so many seconds, and further apart by `spread`."""
    await pool.execute(
        "update deadline set due_at = clock_timestamp() + ($1 + random() * $2) * interval '1 second'",
        seconds,
        spread,
    )


def missed(pool: Pool, number: int) -> Callable[[], Awaitable[bool]]:
    """Say whether so many first steps have been missed by now."""

    async def check() -> bool:
        return bool(
            await pool.fetchval("select count(*) >= $1 from deadline where state = 'missed' and step = 0", number)
        )

    return check


async def test_two_watches_follow_up_every_deadline_once_and_in_time(dsn: str, pool: Pool) -> None:
    case_ids = await open_cases(pool, CASES)
    await set_due(pool, 0.3, spread=0.5)
    async with two_watches(dsn):
        await until(missed(pool, CASES))
    told = await pool.fetch("select case_id from alert where facts ->> 'kind' = 'escalated'")
    assert sorted(row["case_id"] for row in told) == sorted(case_ids)
    late = await pool.fetchval("select max(ended_at - due_at) from deadline where state = 'missed'")
    assert timedelta(0) <= late < timedelta(seconds=1)


async def test_a_deadline_and_an_acknowledgement_at_the_same_moment_agree_on_who_was_first(dsn: str) -> None:
    async with notifier_door(dsn) as door:
        case_ids = await open_cases(door.pool, CASES)
        await set_due(door.pool, 0.5, spread=1.0)
        rows = await door.rows("select case_id, due_at from deadline")
        due = {row["case_id"]: row["due_at"] for row in rows}

        async def race(case_id: UUID) -> None:
            moment = due[case_id] + timedelta(milliseconds=secrets.randbelow(80) - 60)
            await asyncio.sleep(max(0.0, (moment - now()).total_seconds()))
            assert (await acknowledge(door, str(case_id))).status_code == 200

        async with two_watches(dsn):
            await asyncio.gather(*(race(case_id) for case_id in case_ids))
        both = await door.rows(
            """
            select d.state, exists (select from alert a
                                    where a.case_id = d.case_id and a.facts ->> 'kind' = 'escalated') as told
            from deadline d where stage = 'acknowledge' and step = 0
            """
        )
    assert len(both) == CASES
    assert {(row["state"], row["told"]) for row in both} <= {("met", False), ("missed", True)}


async def test_a_case_somebody_is_at_work_on_is_passed_over_and_the_others_are_not(dsn: str, pool: Pool) -> None:
    busy, *others = await open_cases(pool, 3)
    await set_due(pool, 0)
    async with connected(dsn) as officer, officer.transaction():
        await officer.execute("select from fraud_case where id = $1 for update", busy)
        fired = await fire(pool)
        assert sorted(one.case.id for one in fired.settled) == sorted(others)
        assert not (await fire(pool)).settled
        await officer.execute("update deadline set state = 'met' where case_id = $1", busy)
    assert not (await fire(pool)).settled
    assert await alerts(pool, busy, "escalated") == []


async def test_a_case_is_followed_up_as_soon_as_nobody_is_at_work_on_it(dsn: str, pool: Pool) -> None:
    await open_cases(pool, 1)
    watch = watching(pool, Metrics())
    async with connected(dsn) as officer, officer.transaction():
        await officer.execute("select from fraud_case for update")
        await pool.execute("update deadline set due_at = clock_timestamp()")
        watch.open()
        await asyncio.sleep(0.2)  # the watch has looked by now, in vain
    await until(missed(pool, 1))
    await watch.close()
    late = await pool.fetchval("select max(ended_at - due_at) from deadline where state = 'missed'")
    assert timedelta(seconds=0.2) < late < timedelta(seconds=1)


async def test_a_deadline_that_was_started_late_does_not_count_as_late(pool: Pool) -> None:
    await open_cases(pool, 1)
    await pool.execute("update deadline set due_at = now() - interval '1 hour'")
    [one] = (await fire(pool)).settled
    assert now() - one.due.since < timedelta(minutes=1)
    assert now() - one.due.what.due_at > timedelta(minutes=59)


async def test_what_is_committed_is_said_at_once_and_the_screens_are_woken(dsn: str, pool: Pool) -> None:
    async with notifier_door(dsn) as door:
        stopped, waiting = await new_case(door), await new_case(door)
        await hear(pool, a_success(await ordered(door, stopped)))
        unanswered = await ordered(door, waiting)
    await pool.execute("update deadline set due_at = now() where stage in ('expiry', 'feedback')")
    said: list[Outgoing] = []
    woken: list[int] = []
    watch = watching(pool, Metrics(), said, woken)
    watch.open()
    await until(lambda: asyncio.sleep(0, len(said) == 2))
    await watch.close()
    assert {(row.key, row.type) for row in said} == {
        (stopped, CaseChanged.type),
        (waiting, OrderChanged.type),
    }
    assert UUID(unanswered["id"]) in {row.id for row in said}
    assert woken


async def test_a_case_that_cannot_be_followed_up_does_not_hold_up_the_others(pool: Pool) -> None:
    bad, *others = await open_cases(pool, 20)
    await pool.execute("alter table deadline drop constraint deadline_state_check")
    await pool.execute(f"alter table deadline add check (state <> 'missed' or case_id <> '{bad}')")
    await set_due(pool, 0)
    metrics = Metrics()
    watch = watching(pool, metrics)
    watch.open()
    await until(missed(pool, len(others)))
    await until(
        lambda: asyncio.sleep(0, result=metrics.registry.get_sample_value("lanjie_deadlines_failed_total") == 1)
    )
    await watch.close()
    assert await deadlines(pool, bad, "acknowledge") == [(0, "running")]
    assert await alerts(pool, bad, "escalated") == []


async def test_everything_of_one_deadline_happens_or_nothing(pool: Pool) -> None:
    [case_id] = await open_cases(pool, 1)
    await pool.execute("alter table alert add check (facts ->> 'kind' <> 'escalated')")
    await set_due(pool, 0)
    with pytest.raises(escalation.NotFiredError):
        await fire(pool)
    assert await deadlines(pool, case_id, "acknowledge") == [(0, "running")]
    assert await pool.fetchval("select count(*) from timeline where case_id = $1", case_id) == 1


async def test_most_of_a_burst_is_followed_up_with_a_handful_of_statements(pool: Pool) -> None:
    await open_cases(pool, 60)
    await set_due(pool, 0)
    statements: list[str] = []
    async with pool.acquire() as one, pool.acquire() as other:
        for connection in (one, other):
            connection.add_query_logger(lambda record: statements.append(record.query))
    fired = await fire(pool)
    assert len(fired.settled) == 60
    assert 5 < len(statements) < 20


async def test_the_watch_of_a_replica_escalates_and_counts_it(notifier: Door) -> None:
    case_id = await new_case(notifier)
    await set_due(notifier.pool, 0.1)
    await until(missed(notifier.pool, 1))
    assert len(await alerts(notifier.pool, case_id, "escalated")) == 1
    page = (await notifier.client.get("/metrics")).text
    assert 'lanjie_escalations_total{stage="acknowledge",step="0",unit="SZ-LH-CZ"} 1.0' in page
    assert 'lanjie_deadline_lateness_seconds_bucket{le="1.0",stage="acknowledge"} 1.0' in page
    assert 'lanjie_deadlines_overdue{kind="acknowledge",unit=""} 0.0' in page


async def test_deadlines_nobody_follows_up_show_on_the_dashboard(dsn: str, pool: Pool) -> None:
    await open_cases(pool, 2)
    async with notifier_door(dsn) as door, connected(dsn) as officer, officer.transaction():
        await officer.execute("select from fraud_case for update")
        await pool.execute("update deadline set due_at = now() - interval '6 seconds'")
        page = (await door.client.get("/metrics")).text
        assert 'lanjie_deadlines_overdue{kind="acknowledge",unit="SZ-LH-CZ"} 2.0' in page


async def test_rules_that_change_are_seen_without_a_restart(pool: Pool) -> None:
    rules = HouseRules(pool, every_seconds=0.02)
    await rules.open()
    await pool.execute("insert into deadline_rule values ('SZ-LH', '02', 'acknowledge', 7)")

    async def seen() -> bool:
        return rules.now().span("SZ-LH-CZ", Urgency.URGENT, Stage.ACKNOWLEDGE) == timedelta(seconds=7)

    await until(seen)
    await rules.close()
