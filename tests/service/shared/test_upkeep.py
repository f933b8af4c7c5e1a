"""Dead letters that are over go in time, and those that wait do not."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared import dead_letter_store
from shared.dead_letter_store import Which
from shared.dead_letters import LetterState, Poison, park
from shared.postgres import Pool, Row, open_pool
from shared.upkeep import forget_letters
from tests.parts import NARRATIVE

RECORD = Poison("lanjie.reports.v1", 3, 17, b"parked", b"key", b"{", "not JSON")


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    opened_pool = await open_pool(await database("rules"), "rules", most=4)
    yield opened_pool
    await opened_pool.close()


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


async def letters(pool: Pool, state: LetterState | None = None) -> list[Row]:
    async with pool.acquire() as connection:
        return await dead_letter_store.letters(connection, Which(state=state), 10)


async def one_of_each(pool: Pool) -> None:
    """Park three letters; replay one of them and drop another."""
    await park(pool, [replace(RECORD, sha256=name) for name in (b"parked", b"replayed", b"dropped")], NARRATIVE)
    by_hash = {row["sha256"]: row["id"] for row in await letters(pool)}
    async with pool.acquire() as connection:
        for state in (LetterState.REPLAYED, LetterState.DROPPED):
            await dead_letter_store.end(connection, [by_hash[state.value.encode()]], state, "lu", "over")


async def test_a_replayed_letter_goes_and_a_dropped_one_loses_its_record_but_stays_dropped(pool: Pool) -> None:
    await one_of_each(pool)
    await forget_letters(pool, soon())
    assert {row["state"]: row["sealed"] is not None for row in await letters(pool)} == {
        "parked": True,
        "dropped": False,
    }
    await park(pool, [replace(RECORD, sha256=b"dropped")], NARRATIVE)
    assert [row["sha256"] for row in await letters(pool, LetterState.PARKED)] == [b"parked"]


async def test_what_was_over_a_moment_ago_is_kept(pool: Pool) -> None:
    await one_of_each(pool)
    await forget_letters(pool, datetime.now(UTC) - timedelta(minutes=1))
    assert [row["sealed"] is not None for row in await letters(pool)] == [True] * 3


async def test_a_forgotten_letter_that_fails_again_is_a_new_one_in_whole(pool: Pool) -> None:
    await one_of_each(pool)
    await forget_letters(pool, soon())
    assert len(await park(pool, [replace(RECORD, sha256=b"replayed")], NARRATIVE)) == 1
    [row] = [row for row in await letters(pool) if row["sha256"] == b"replayed"]
    assert row["attempts"] == 1
    assert row["sealed"] is not None
