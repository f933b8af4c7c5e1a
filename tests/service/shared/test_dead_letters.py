"""Dead letters: parked once and sealed; replayed, they are the same letter when they fail again; dropped for good."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from shared import dead_letter_store
from shared.dead_letter_store import Which
from shared.dead_letters import Letter, LetterState, Poison, ReasonClass, opened, park, parked_by_reason
from shared.kafka import fits
from shared.postgres import Pool, Row, open_pool
from shared.privacy import Seal, SealBrokenError
from shared.records import poison, read
from shared.replaying import NotReplayedError, replay
from tests.parts import NARRATIVE, NOWHERE
from tests.service.town import OnTheWire

HEADERS = (("ce_id", b"7"), ("odd", None), ("odd", b"\xff"))
RECORD = Poison("lanjie.reports.v1", 3, 17, b"digest", b"\xfekey", b"{", "not JSON", HEADERS)


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    opened_pool = await open_pool(await database("rules"), "rules", most=4)
    yield opened_pool
    await opened_pool.close()


async def the_letter(pool: Pool) -> Row:
    async with pool.acquire() as connection:
        [row] = await dead_letter_store.letters(connection, Which(), 10)
    return row


async def ended(pool: Pool, state: LetterState) -> int:
    async with pool.acquire() as connection:
        row = await the_letter(pool)
        return len(await dead_letter_store.end(connection, [row["id"]], state, "lu", "mended"))


async def steps(pool: Pool) -> list[tuple[str, str, str]]:
    async with pool.acquire() as connection:
        told = await dead_letter_store.steps(connection, (await the_letter(pool))["id"])
    return [(one["action"], one["actor"], one["why"]) for one in told]


async def test_a_record_is_parked_once_however_often_it_is_read(pool: Pool) -> None:
    [copy] = await park(pool, [RECORD, replace(RECORD, offset=18)], NARRATIVE)
    assert copy.topic == "lanjie.reports.v1.dlq"
    assert copy.reason.endswith("not JSON")
    assert await park(pool, [RECORD], NARRATIVE) == []
    assert await park(pool, [replace(RECORD, offset=99)], NARRATIVE) == []
    assert (await the_letter(pool))["attempts"] == 1
    assert await steps(pool) == [("parked", "lanjie", "not JSON")]


async def test_another_record_at_a_reused_offset_is_parked_too(pool: Pool) -> None:
    assert len(await park(pool, [RECORD], NARRATIVE)) == 1
    assert len(await park(pool, [replace(RECORD, sha256=b"another")], NARRATIVE)) == 1


async def test_the_record_is_kept_as_it_was(pool: Pool) -> None:
    [copy] = await park(pool, [RECORD], NARRATIVE)
    whole = Letter(b"\xfekey", HEADERS, b"{", whole=True)
    assert opened(copy.payload, copy.id, NARRATIVE) == whole
    row = await the_letter(pool)
    assert opened(row["sealed"], row["id"], NARRATIVE) == whole


async def test_nothing_of_a_record_is_kept_or_sent_in_clear(pool: Pool) -> None:
    telling = replace(RECORD, key=b"6217000000000002026", value="蒙世坤".encode())
    [copy] = await park(pool, [telling], NARRATIVE)
    kept = repr(copy) + repr([dict(row) for row in await pool.fetch("select * from dead_letter")])
    assert "6217000000000002026" not in kept
    assert "蒙世坤" not in kept
    assert repr("蒙世坤".encode())[2:-1] not in kept


async def test_a_copy_of_a_huge_record_is_cut_to_fit_and_the_letter_is_not(pool: Pool) -> None:
    [copy] = await park(pool, [replace(RECORD, value=b"x" * 1_000_000)], NARRATIVE)
    assert fits(copy)
    assert not opened(copy.payload, copy.id, NARRATIVE).whole
    row = await the_letter(pool)
    assert opened(row["sealed"], row["id"], NARRATIVE).value == b"x" * 1_000_000


async def test_a_replayed_letter_that_fails_again_is_the_same_letter_tried_twice(pool: Pool) -> None:
    await park(pool, [RECORD], NARRATIVE)
    before = await the_letter(pool)
    assert await ended(pool, LetterState.REPLAYED) == 1
    assert len(await park(pool, [replace(RECORD, offset=40, reason="handler failed: Again")], NARRATIVE)) == 1
    after = await the_letter(pool)
    assert (after["id"], after["state"], after["attempts"], after["offset_number"]) == (before["id"], "parked", 2, 40)
    assert after["reason"] == "handler failed: Again"
    assert await park(pool, [replace(RECORD, offset=41)], NARRATIVE) == [], "it came a second time"
    assert [action for action, _, _ in await steps(pool)] == ["parked", "replayed", "parked"]


async def test_a_dropped_letter_stays_dropped_when_its_record_comes_again(pool: Pool) -> None:
    await park(pool, [RECORD], NARRATIVE)
    assert await ended(pool, LetterState.DROPPED) == 1
    assert await park(pool, [RECORD], NARRATIVE) == []
    assert await ended(pool, LetterState.REPLAYED) == 0
    assert await ended(pool, LetterState.DROPPED) == 0
    assert await steps(pool) == [("parked", "lanjie", "not JSON"), ("dropped", "lu", "mended")]


async def test_a_letter_that_cannot_be_put_back_stays_parked(pool: Pool) -> None:
    await park(pool, [RECORD], NARRATIVE)
    row = await the_letter(pool)
    async with pool.acquire() as connection:
        with pytest.raises(NotReplayedError, match="stay parked"):
            await replay(connection, NOWHERE, [row["id"]], NARRATIVE, "lu")
        with pytest.raises(SealBrokenError):
            await replay(connection, NOWHERE, [row["id"]], Seal({"n2": bytes(32)}), "lu")
    assert (await the_letter(pool))["state"] == "parked"
    assert len(await steps(pool)) == 1


async def test_a_record_with_neither_key_nor_value_is_not_put_back(pool: Pool) -> None:
    await park(pool, [replace(RECORD, key=None, value=None)], NARRATIVE)
    row = await the_letter(pool)
    async with pool.acquire() as connection:
        with pytest.raises(NotReplayedError, match="drop it"):
            await replay(connection, NOWHERE, [row["id"]], NARRATIVE, "lu")


async def test_letters_are_counted_by_why_they_wait(pool: Pool) -> None:
    await park(pool, [RECORD, replace(RECORD, sha256=b"b", reason_class=ReasonClass.KEY)], NARRATIVE)
    counted = await parked_by_reason(pool)
    assert {reason: number for reason, number in counted.items() if number} == {
        ReasonClass.BAD_JSON: 1,
        ReasonClass.KEY: 1,
    }
    assert set(counted) == set(ReasonClass)


@pytest.mark.parametrize(
    ("headers", "value", "expected"),
    [
        ([("ce_type", b"lanjie.report.filed.v1")], None, ReasonClass.NULL_VALUE),
        ([("ce_type", b"lanjie.report.filed.v9")], b"{}", ReasonClass.UNKNOWN_VERSION),
        ([("ce_type", b"x")], b"{}", ReasonClass.UNKNOWN_TYPE),
        ([("ce_type", b"lanjie.case.changed.v1")], b"{}", ReasonClass.WRONG_TOPIC),
        ([("ce_type", b"\xff")], b"{}", ReasonClass.HEADER),
        ([("ce_type", None)], b"{}", ReasonClass.HEADER),
        ([("ce_type", b"lanjie.report.filed.v1")], b"{}", ReasonClass.HEADER),
        ([("ce_type", b"lanjie.report.filed.v1"), ("ce_id", bytes(b"0" * 32))], b"{", ReasonClass.BAD_JSON),
        ([("ce_type", b"lanjie.report.filed.v1"), ("ce_id", bytes(b"0" * 32))], b"{}", ReasonClass.SCHEMA),
    ],
)
def test_what_cannot_be_read_has_a_class(
    headers: list[tuple[str, bytes | None]], value: bytes | None, expected: ReasonClass
) -> None:
    found = read(OnTheWire("lanjie.reports.v1", 0, 0, b"k", value, headers))
    assert isinstance(found, Poison)
    assert found.reason_class is expected


def test_the_same_record_is_the_same_letter_whatever_it_failed_of() -> None:
    record = OnTheWire("lanjie.reports.v1", 0, 5, b"k", b"{", [("a", b"b")])
    one = poison(record, "not JSON", ReasonClass.BAD_JSON)
    other = poison(replace(record, offset=6), "handler failed: X", ReasonClass.HANDLER_FAILED)
    assert one.sha256 == other.sha256
    assert poison(replace(record, key=None), "x", ReasonClass.KEY).sha256 != one.sha256
