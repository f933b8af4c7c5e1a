"""The packs in force in a replica: taken up whole, held on to, and named in every verdict."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.rules import consumers, pack_store
from services.rules.metrics import Metrics
from services.rules.packs import Packs
from shared.events import ReportFiled, VerdictReached
from shared.outbox import Outgoing, new_id
from shared.postgres import Pool
from shared.records import Received
from tests.parts import NARRATIVE
from tests.service.rules.analyst import folder_of, following, published, until
from tests.service.rules.builders import HINT, PACK, SCAM, TRACE, a_filed_report, until_waiting

FAULTY = json.dumps({**PACK, "rules.yaml": PACK["rules.yaml"].replace("when: says.task", "when: says.tsak")})
HEAVIER = ('weight: 12, why: "提到{says.task}"', 'weight: 13, why: "提到{says.task}"')


class Delivered:
    """A record of which the handler reads nothing more."""

    topic: str = ""
    partition: int = 0
    offset: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


async def released_by_hand(pool: Pool, files: str, role: str = "live") -> None:
    """Release what no command would: files as they may stand there after a slip, or by a newer program."""
    await pool.execute(
        """
        with stored as (insert into pack_version (hash, name, files) values ('by hand', 'x', $1) returning version)
        insert into pack_release (role, version) select $2, version from stored
        """,
        files,
        role,
    )


async def consumed(pool: Pool, packs: Packs, reports: Sequence[ReportFiled]) -> list[VerdictReached]:
    """Let reports come to a replica as one batch of its topic; return the verdicts that it says."""
    handle = consumers.handling(pool, packs, NARRATIVE, Metrics())
    rows: Sequence[Outgoing] = await handle([Received(report, new_id(), TRACE, Delivered()) for report in reports])
    return [VerdictReached.model_validate_json(row.payload) for row in rows]


def just_filed(note: str = "") -> ReportFiled:
    now = datetime.now(UTC)
    return a_filed_report(note, filed_at=now, observed_at=now)


async def test_a_replica_waits_for_the_first_pack_and_takes_it_up(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await pool.execute("delete from pack_release")
    packs = Packs(pool)
    packs.start()
    first = asyncio.create_task(packs.in_force())
    await packs.look()
    assert packs.now is None
    assert not first.done()
    await published(dsn, folder_of(tmp_path))
    assert (await asyncio.wait_for(first, 20)).live.label() == "test@2"
    await packs.stop()


async def test_a_shadow_alone_judges_nothing(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await pool.execute("delete from pack_release")
    await published(dsn, folder_of(tmp_path), "--shadow")
    packs = Packs(pool)
    await packs.look()
    assert packs.now is None


@pytest.mark.parametrize(
    "files", ["{}", "[]", '{"pack.yaml": 5}', '{"pack.yaml": "name: ["}', FAULTY, '{"pack.yaml": null}']
)
async def test_a_release_that_cannot_be_compiled_leaves_the_old_one_in_force_and_is_counted(
    dsn: str, pool: Pool, tmp_path: Path, files: str
) -> None:
    await published(dsn, folder_of(tmp_path))
    packs = Packs(pool)
    await packs.look()
    before = packs.now
    assert before
    assert packs.refused == 0
    await released_by_hand(pool, files)
    for _ in range(2):
        await packs.look()
    assert packs.now is before
    assert packs.refused == 1
    await published(dsn, folder_of(tmp_path, PACK, HEAVIER, name="heavier"))
    await packs.look()
    assert packs.now
    assert packs.now.live.label() == "test@4"


async def test_a_shadow_that_cannot_be_compiled_keeps_no_live_pack_back(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await released_by_hand(pool, "{}", "shadow")
    await published(dsn, folder_of(tmp_path))
    packs = Packs(pool)
    await packs.look()
    assert packs.now
    assert (packs.now.live.label(), packs.now.shadow, packs.refused) == ("test@3", None, 1)


async def test_a_version_that_stays_in_force_is_not_compiled_again(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    packs = Packs(pool)
    await packs.look()
    before = packs.now
    assert before
    await published(dsn, folder_of(tmp_path, name="same"))
    await published(dsn, folder_of(tmp_path, PACK, HEAVIER, name="heavier"), "--shadow")
    await packs.look()
    assert packs.now
    assert packs.now.shadow
    assert packs.now.live is before.live


async def test_all_replicas_take_up_what_is_released(dsn: str, pool: Pool, other_pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    async with following(pool) as one, following(other_pool) as two:
        await published(dsn, folder_of(tmp_path, PACK, HEAVIER, name="heavier"))
        await until(lambda: [packs.now and packs.now.live.version for packs in (one, two)] == [3, 3])


async def test_a_batch_is_judged_by_one_pack_though_another_is_released_meanwhile(
    dsn: str, pool: Pool, other_pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    reports = [just_filed(HINT) for _ in range(10)]
    async with following(other_pool) as packs:
        async with pool.acquire() as connection:
            holding = connection.transaction()
            await holding.start()
            await connection.execute("lock table verdict in share mode")  # reports are looked up, none is kept
            judging = asyncio.create_task(consumed(other_pool, packs, reports))
            await until_waiting(pool, 1)
            await published(dsn, folder_of(tmp_path, PACK, HEAVIER, name="heavier"))
            await until(lambda: packs.now is not None and packs.now.live.version == 3)
            await holding.rollback()
        assert {(verdict.pack, verdict.findings[0].weight) for verdict in await judging} == {("test@2", 12)}
        [after] = await consumed(other_pool, packs, [just_filed(HINT)])
        assert (after.pack, after.findings[0].weight) == ("test@3", 13)


async def test_every_verdict_keeps_version_hash_and_facts_and_its_event_carries_pack_and_hash(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    released = await pool.fetchval("select hash from pack_version where version = 2")
    async with following(pool) as packs:
        verdicts = await consumed(pool, packs, [just_filed(note) for note in ("", HINT, SCAM)])
    assert [(one.pack, one.pack_hash) for one in verdicts] == [("test@2", released)] * 3
    kept = await pool.fetch("select pack_version, pack_hash, facts ->> 'transfer.amount_yuan' from verdict")
    assert [tuple(row) for row in kept] == [(2, released, "3000")] * 3


async def test_a_second_verdict_names_the_pack_that_reached_it(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    early, alarming = (just_filed(note).model_copy(update={"payee_token": "hot"}) for note in (HINT, SCAM))
    async with following(pool) as packs:
        [first] = await consumed(pool, packs, [early])
        await published(dsn, folder_of(tmp_path, PACK, HEAVIER, name="heavier"))
        await until(lambda: packs.now is not None and packs.now.live.version == 3)
        _, second = await consumed(pool, packs, [alarming])
    assert (first.pack, second.pack, second.version) == ("test@2", "test@3", 2)
    kept = await pool.fetch(
        "select pack_version, pack_hash from verdict where report_id = $1 order by version", early.report_id
    )
    assert [tuple(row) for row in kept] == [(2, first.pack_hash), (3, second.pack_hash)]
    assert first.pack_hash != second.pack_hash


async def test_a_replica_that_starts_while_the_live_pack_cannot_be_loaded_judges_by_the_last_that_can(
    pool: Pool,
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        broken = await pack_store.store_pack(connection, "broken", {"pack.yaml": "name: 1"}, "an older program", "")
        await pack_store.release(connection, "live", broken, "an older program", "")
    packs = Packs(pool)
    await packs.look()
    await packs.look()
    assert packs.now
    assert (packs.now.live.label(), packs.refused) == ("reference@1", 1)
