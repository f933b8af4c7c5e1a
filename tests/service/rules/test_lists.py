"""The lists: who is to be stopped or let through whatever the rules say, from when until when."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from services.rules import list_store, past_store
from services.rules.conditions import Condition, ConditionKind, Subject, applying
from services.rules.list_store import Entry
from services.rules.locks import lock_payees
from shared.outbox import new_id
from shared.postgres import Pool
from tests.service.rules.builders import (
    INSTANT,
    NOW,
    a_filed_report,
    ago,
    an_entry,
    an_outcome,
    find,
    known,
    until_waiting,
)

BLOCK, OVERRIDE, HARD_BLOCK = (
    ConditionKind.OVERRIDABLE_BLOCK,
    ConditionKind.OVERRIDE,
    ConditionKind.NON_OVERRIDABLE_BLOCK,
)

LONG_AGO, FAR_ON = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
"""For what goes by the server's clock."""


async def enter(pool: Pool, *entries: Entry) -> int:
    async with pool.acquire() as connection, connection.transaction():
        return await list_store.add_entries(connection, entries)


async def end(pool: Pool, **which: Any) -> int:  # noqa: ANN401
    async with pool.acquire() as connection:
        return await list_store.end_entries(connection, "analyst-2", NOW, **which)


async def conditions(pool: Pool, *, payee: str = "p", payer: str = "c", person: str | None = "i") -> list[Condition]:
    report = a_filed_report(payee_token=payee, payer_token=payer, payer_person_token=person)
    async with pool.acquire() as connection:
        found = await past_store.conditions(connection, [report, a_filed_report()], NOW)
    assert set(found) <= {report.report_id}
    return found.get(report.report_id, [])


async def noticed(pool: Pool) -> list[str]:
    async with pool.acquire() as connection:
        return await list_store.newly_blocked(connection, datetime.now(UTC))


def a_condition(kind: ConditionKind, **changes: Any) -> Condition:  # noqa: ANN401
    fields: dict[str, Any] = {
        "id": new_id(),
        "subject": Subject.PAYEE,
        "kind": kind,
        "scam_type": None,
        "reason": "",
        "author": "",
        "starts_at": NOW,
        "expires_at": None,
    }
    return Condition(**{**fields, **changes})


@pytest.mark.parametrize(
    ("kinds", "decides"),
    [
        ((BLOCK, OVERRIDE), OVERRIDE),
        ((OVERRIDE, BLOCK, HARD_BLOCK), HARD_BLOCK),
        ((BLOCK, HARD_BLOCK), HARD_BLOCK),
        ((BLOCK,), BLOCK),
    ],
)
def test_an_unconditional_block_goes_before_an_override_and_that_before_a_block(
    kinds: tuple[ConditionKind, ...], decides: ConditionKind
) -> None:
    for order in (kinds, kinds[::-1]):
        winner = applying([a_condition(kind) for kind in order])
        assert winner
        assert winner.kind is decides


def test_of_conditions_of_one_kind_the_oldest_decides_and_of_none_none() -> None:
    young, old = a_condition(BLOCK), a_condition(BLOCK, starts_at=ago(days=1))
    assert applying([young, old]) is applying([old, young]) is old
    assert applying([]) is None


async def test_an_entry_is_found_with_all_that_is_to_be_said_of_it(pool: Pool) -> None:
    entry = an_entry("p", HARD_BLOCK, scam_type="safe_account")
    assert await enter(pool, entry) == 1
    assert await conditions(pool) == [
        Condition(
            entry.id, Subject.PAYEE, HARD_BLOCK, "safe_account", "群众举报", "analyst-1", ago(days=1), ago(days=-1)
        )
    ]
    assert await conditions(pool, payee="another") == []


@pytest.mark.parametrize(("subject", "token"), [("payee", "p"), ("payer", "c"), ("payer", "i")])
async def test_an_entry_is_about_the_payee_or_about_the_customer_by_account_or_person(
    pool: Pool, subject: str, token: str
) -> None:
    await enter(pool, an_entry(token, subject=Subject(subject)))
    assert len(await conditions(pool)) == 1
    assert await conditions(pool, payee="c", payer="p", person=None) == []


@pytest.mark.parametrize(
    ("changes", "applies"),
    [
        ({"starts_at": NOW}, True),
        ({"starts_at": NOW + INSTANT}, False),
        ({"expires_at": NOW}, False),
        ({"expires_at": NOW + INSTANT}, True),
        ({"expires_at": None}, True),
    ],
)
async def test_an_entry_is_in_force_from_its_start_until_before_its_expiry(
    pool: Pool, changes: dict[str, Any], *, applies: bool
) -> None:
    await enter(pool, an_entry("p", **changes))
    assert bool(await conditions(pool)) == applies
    assert (await known(pool, a_filed_report(payee_token="p")))["payee.watched"] == applies


@pytest.mark.parametrize(
    ("kinds", "watched", "trusted"),
    [
        ((), False, False),
        ((BLOCK,), True, False),
        ((HARD_BLOCK,), True, False),
        ((OVERRIDE,), False, True),
        ((OVERRIDE, BLOCK), True, True),
        ((OVERRIDE, HARD_BLOCK), True, False),
    ],
)
async def test_a_payee_is_watched_by_any_block_and_trusted_unless_a_block_beats_it(
    pool: Pool, kinds: tuple[ConditionKind, ...], *, watched: bool, trusted: bool
) -> None:
    await enter(pool, *(an_entry("p", kind) for kind in kinds), an_entry("p", subject=Subject.PAYER))
    facts = await known(pool, a_filed_report(payee_token="p"))
    assert (facts["payee.watched"], facts["payee.trusted"]) == (watched, trusted)


async def test_the_same_entry_added_twice_is_there_once(pool: Pool) -> None:
    entry, other = an_entry("p"), an_entry("q")
    assert await enter(pool, entry) == 1
    assert await enter(pool, entry, other) == 1
    assert len(await conditions(pool)) == 1


async def test_an_ended_entry_no_longer_counts_and_says_who_ended_it(pool: Pool) -> None:
    first, second = an_entry("p"), an_entry("p", OVERRIDE)
    await enter(pool, first, second, an_entry("q"))
    assert await end(pool, ids=[first.id]) == 1
    assert [one.id for one in await conditions(pool)] == [second.id]
    assert await end(pool, token="p") == 1
    assert await conditions(pool) == []
    assert await end(pool, token="p", ids=[first.id]) == 0
    ended = await pool.fetch("select ended_at, ended_by from list_entry where token = 'p'")
    assert {tuple(row) for row in ended} == {(NOW, "analyst-2")}


async def test_a_table_shows_what_ever_was_or_what_was_in_force_at_a_moment(pool: Pool) -> None:
    past, now, ended = an_entry("a", expires_at=NOW), an_entry("b", expires_at=None), an_entry("c")
    await enter(pool, past)
    await enter(pool, now)
    await enter(pool, ended)
    await end(pool, ids=[ended.id])
    async with pool.acquire() as connection:
        everything = await list_store.entries(connection, None, 10)
        in_force = await list_store.entries(connection, NOW, 10)
        just_before = await list_store.entries(connection, NOW - INSTANT, 10)
        newest = await list_store.entries(connection, None, 1)
    assert [row["token"] for row in everything] == ["c", "b", "a"]
    assert [row["token"] for row in in_force] == ["b"]
    assert [row["token"] for row in just_before] == ["c", "b", "a"]
    assert [row["token"] for row in newest] == ["c"]


async def test_payees_are_newly_blocked_once_when_their_block_begins(pool: Pool) -> None:
    began: dict[str, Any] = {"starts_at": LONG_AGO, "expires_at": None}
    await enter(
        pool,
        an_entry("blocked", **began),
        an_entry("blocked", HARD_BLOCK, **began),
        an_entry("trusted", OVERRIDE, **began),
        an_entry("customer", subject=Subject.PAYER, **began),
        an_entry("past", starts_at=LONG_AGO, expires_at=LONG_AGO),
        an_entry("later", starts_at=FAR_ON, expires_at=None),
    )
    await find(pool, an_outcome("found by the police"))
    assert await noticed(pool) == ["blocked"]
    assert await noticed(pool) == []
    await pool.execute("update list_entry set starts_at = now() where token = 'later'")
    assert await noticed(pool) == ["later"]


async def test_two_replicas_do_not_notice_the_same_block_twice(pool: Pool, other_pool: Pool) -> None:
    await enter(pool, *(an_entry(f"p{place}", starts_at=LONG_AGO, expires_at=None) for place in range(20)))
    one, two = await asyncio.gather(noticed(pool), noticed(other_pool))
    assert sorted([*one, *two]) == sorted(f"p{place}" for place in range(20))


async def test_a_block_that_was_noticed_in_vain_is_noticed_again(pool: Pool) -> None:
    await enter(pool, an_entry("p", starts_at=LONG_AGO, expires_at=None))
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await list_store.newly_blocked(connection, datetime.now(UTC)) == ["p"]
        await transaction.rollback()
    assert await noticed(pool) == ["p"]


async def test_an_entry_waits_for_reports_on_the_account_that_are_being_judged(pool: Pool, other_pool: Pool) -> None:
    async with pool.acquire() as judging:
        transaction = judging.transaction()
        await transaction.start()
        await lock_payees(judging, ["p"], exclusive=False)
        await asyncio.wait_for(enter(other_pool, an_entry("q")), 5)
        entering = asyncio.create_task(enter(other_pool, an_entry("p")))
        await until_waiting(pool, 1)
        assert not entering.done()
        await transaction.commit()
        assert await entering == 1
