"""A replica from before dead letters had a class goes on putting records aside on the schema of today."""

from collections.abc import Awaitable, Callable

from shared.dead_letters import ReasonClass, parked_by_reason
from shared.outbox import new_id
from shared.postgres import open_pool

AS_BEFORE = """
    insert into dead_letter (id, topic, partition_number, offset_number, sha256, reason)
    values ($1, 'lanjie.reports.v1', 0, 17, '\\x01', 'unknown type') on conflict do nothing
"""


async def test_what_an_older_replica_puts_aside_is_there_and_counted(database: Callable[[str], Awaitable[str]]) -> None:
    pool = await open_pool(await database("rules"), "rules", most=2)
    await pool.execute(AS_BEFORE, new_id())
    parked = await parked_by_reason(pool)
    await pool.close()
    assert parked[ReasonClass.UNKNOWN_TYPE] == 1
