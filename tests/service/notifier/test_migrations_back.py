"""The clock, the channels and duty, taken back on data and brought in again: nothing on its way is lost."""

from pathlib import Path
from typing import Any

from deploy.local.config import ROOT
from shared.postgres import RawConnection
from tests.parts import Door, notifier_door
from tests.service.notifier.builders import a_verdict, an_account, connected
from tests.service.notifier.police import a_case, done, give, new_case
from tests.service.notifier.reach import CUIZHU_OFFICER, on_duty, reachable

MIGRATIONS = sorted((ROOT / "services" / "notifier" / "migrations").glob("*.sql"))
FIRST = next(number for number, file in enumerate(MIGRATIONS) if "_clock" in file.name)


ON_THEIR_WAY = """
    select d.message_id::text as id from delivery d join target t on t.id = d.target_id
    join alert a on a.id = d.message_id and a.report_id is not null
    where t.unit is not null and d.state = 'pending' order by 1
"""
WITHOUT_A_CLOCK = """
    select count(*) from fraud_case c
    where status = 'open' and not exists (select from deadline d where d.case_id = c.id)
"""


async def back(connection: RawConnection, files: list[Path]) -> None:
    for file in reversed(files):
        await connection.execute(file.read_text(encoding="utf-8").partition("-- migrate:down")[2])


async def forward(connection: RawConnection, files: list[Path]) -> None:
    for file in files:
        await connection.execute(file.read_text(encoding="utf-8").partition("-- migrate:down")[0])


async def data(door: Door) -> None:
    """A case that was split, one that was transferred, one with an order, and alerts on their way."""
    await door.pool.execute(
        """
        insert into target (id, unit, channel, address, sealed_secret, shown)
        values (gen_random_uuid(), 'SZ-LH-CZ', 'webhook', 'https://user:word@unit.example/hook', 's', 'unit.example')
        """
    )
    await reachable(door.pool, CUIZHU_OFFICER)
    await on_duty(door.pool, CUIZHU_OFFICER)
    account = an_account()
    verdicts = [a_verdict(account), a_verdict(account)]
    split = await a_case(door, *verdicts)
    await done(door, split, "split", report_ids=[str(verdicts[0].report.report_id)], reason="两起案件")
    moved = await new_case(door)
    await done(door, moved, "transfer", unit="SZ-LH-DM", reason="属地管辖")
    ordered = await new_case(door)
    assert (await give(door, ordered)).status_code == 201
    await door.pool.execute("update delivery set due_at = now() + interval '1 hour' where state = 'pending'")
    await new_case(door)


async def test_what_is_on_its_way_stays_so_back_and_forth(dsn: str) -> None:
    async with notifier_door(dsn, allowed_private_hosts="") as notifier:
        await data(notifier)
        before: list[dict[str, Any]] = await notifier.rows(ON_THEIR_WAY)
    assert len(before) >= 4
    async with connected(dsn) as connection, connection.transaction():
        await back(connection, MIGRATIONS[FIRST:])
        rows = await connection.fetch("select alert_id::text as id from delivery where state = 'pending' order by 1")
        assert [dict(row) for row in rows] == before
        await forward(connection, MIGRATIONS[FIRST:])
        assert [dict(row) for row in await connection.fetch(ON_THEIR_WAY)] == before
        assert await connection.fetchval("select shown from target") == "unit.example"
        assert await connection.fetchval(WITHOUT_A_CLOCK) == 0
