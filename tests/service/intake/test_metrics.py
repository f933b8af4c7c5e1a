"""When each bank reported last: read from the table, the same on all replicas, and not forgotten by a restart."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from services.intake import store
from shared.postgres import Pool
from shared.tally import first_id
from tests.parts import Door, a_key, a_report, bank, intake_door
from tests.service.notifier.builders import until

LAST = "lanjie_bank_last_report_timestamp_seconds"


async def shown(door: Door) -> dict[str, float]:
    """When each bank reported last, as the page says."""
    lines = [line for line in (await door.client.get("/metrics")).text.splitlines() if line.startswith(f"{LAST}{{")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}


async def report(door: Door, code: str = "ICBC") -> datetime:
    """Have a bank file a report; return when it was filed."""
    body = a_report(branch_code=f"{code}-SZ-LH-{'001' if code == 'ICBC' else '002'}", bank_reference=a_key())
    answer = await door.client.post("/v1/reports", json=body, headers=bank(code, **{"Idempotency-Key": a_key()}))
    assert answer.status_code == 202, answer.text
    filed_at: datetime = await door.pool.fetchval("select max(filed_at) from report where bank = $1", code)
    return filed_at


async def noted(pool: Pool) -> dict[str, datetime]:
    """Look at all there is; return what is noted then."""
    await store.note_last_reports(pool, first_id(datetime.now(UTC) - timedelta(days=100)))
    return await store.last_reports(pool)


async def test_when_each_bank_reported_last_is_shown_and_one_that_never_did_is_not(intake: Door) -> None:
    first = await report(intake)
    assert await report(intake) > first
    other, newest = await report(intake, "CMB"), await report(intake)
    assert await noted(intake.pool) == {"ICBC": newest, "CMB": other}

    async def seen() -> bool:
        return await shown(intake) == {"ICBC": newest.timestamp(), "CMB": other.timestamp()}

    await until(seen)


async def test_a_replica_that_starts_shows_at_once_what_was_before_it(
    database: Callable[[str], Awaitable[str]],
) -> None:
    dsn = await database("intake")
    async with intake_door(dsn) as door:
        last = await report(door)
        assert await noted(door.pool) == {"ICBC": last}
    async with intake_door(dsn) as again:

        async def seen() -> bool:
            return await shown(again) == {"ICBC": last.timestamp()}

        await until(seen)


async def test_what_is_seen_late_does_not_turn_the_clock_back(intake: Door) -> None:
    last = await report(intake)
    await intake.pool.execute("update bank set last_report_at = $1 where code = 'ICBC'", last + timedelta(hours=1))
    assert await noted(intake.pool) == {"ICBC": last + timedelta(hours=1)}
