"""Holds run out: warned of, ended by themselves, counted as released; and what was under way before the clock."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from deploy.local.config import ROOT
from shared.events import CaseChanged
from shared.outbox import new_id
from tests.parts import DatabaseServer, Door
from tests.service.notifier.builders import a_success, a_verdict, an_account, hear, money, now, said
from tests.service.notifier.clockwork import alerts, deadlines, fire, lines
from tests.service.notifier.police import LUOHU, a_case, close, done, new_case, ordered, said_of

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


async def a_stop(door: Door, executed_at: datetime | None = None) -> tuple[str, dict[str, Any]]:
    """A stop the bank has executed."""
    case_id = await new_case(door)
    order = await ordered(door, case_id)
    await hear(door.pool, a_success(order, executed_at=executed_at))
    return case_id, order


async def test_a_stop_is_warned_of_a_day_six_hours_and_one_hour_before_it_runs_out(notifier: Door) -> None:
    case_id, order = await a_stop(notifier)
    for hours in (23, 24.1, 42.1, 47.1):
        await fire(notifier.pool, HOUR * hours)
    told = await alerts(notifier.pool, case_id, "expiring")
    assert [(one["unit"], one["order_id"]) for one in told] == [("SZ-LH-CZ", order["id"])] * 3
    shown = await lines(notifier.pool, case_id, "expiring")
    assert [hours in text for hours, text in zip(("约 24 小时", "约 6 小时", "约 1 小时"), shown, strict=True)] == [
        True
    ] * 3


async def test_an_expired_stop_ends_by_itself_and_its_money_is_released(notifier: Door) -> None:
    case_id, order = await a_stop(notifier)
    assert (await money(notifier.pool))["released"] == 0
    fired = await fire(notifier.pool, HOUR * 48 + MINUTE)
    [row] = await notifier.rows("select ended_at, ended_why, expires_at, status from bank_order")
    assert (row["ended_why"], row["ended_at"], row["status"]) == ("expired", row["expires_at"], "executed")
    assert (await money(notifier.pool))["released"] == (await money(notifier.pool))["stopped"] == 9_800_000
    [told] = await alerts(notifier.pool, case_id, "expired")
    assert (told["unit"], told["order_id"]) == ("SZ-LH-CZ", order["id"])
    [changed] = said(fired.rows, CaseChanged)
    assert str(changed.case_id) == case_id
    [cause] = await notifier.rows("select cause from ledger where kind = 'released'")
    [deadline] = await notifier.rows("select id from deadline where stage = 'expiry'")
    assert cause["cause"] == deadline["id"]


async def test_expiry_sends_the_bank_no_order(notifier: Door) -> None:
    case_id, _ = await a_stop(notifier)
    before = await said_of(notifier, case_id)
    await fire(notifier.pool, HOUR * 49)
    gained = await said_of(notifier, case_id)
    assert [kind for kind in gained if "order" in kind] == [kind for kind in before if "order" in kind]
    assert await notifier.count("bank_order") == 1


async def test_a_stop_runs_out_once_however_often_the_clock_is_looked_at(notifier: Door) -> None:
    case_id, _ = await a_stop(notifier)
    for _ in range(3):
        await fire(notifier.pool, HOUR * 49)
    assert len(await alerts(notifier.pool, case_id, "expired", "expiring")) == 1
    assert (await money(notifier.pool))["released"] == 9_800_000
    assert await deadlines(notifier.pool, case_id, "expiry") == [(0, "missed")]
    assert {state for _, state in await deadlines(notifier.pool, case_id, "warning")} == {"met"}


async def test_expiry_goes_on_after_the_case_is_closed(notifier: Door) -> None:
    case_id, _ = await a_stop(notifier)
    assert (await close(notifier, case_id, "confirmed", scam_type="romance")).status_code == 200
    await fire(notifier.pool, HOUR * 49)
    assert len(await alerts(notifier.pool, case_id, "expired")) == 1
    assert (await money(notifier.pool))["released"] == 9_800_000


async def test_money_held_by_a_case_that_was_split_off_is_released_in_the_book_of_the_first_one(
    notifier: Door,
) -> None:
    verdicts = [a_verdict(account := an_account()), a_verdict(account, "ICBC-SZ-LH-002")]
    case_id = await a_case(notifier, *verdicts)
    new = await done(notifier, case_id, "split", report_ids=[str(verdicts[1].report.report_id)], reason="两起案件")
    await hear(notifier.pool, a_success(await ordered(notifier, new["id"], who=LUOHU)))
    await fire(notifier.pool, HOUR * 49)
    assert len(await alerts(notifier.pool, new["id"], "expired")) == 1
    [row] = await notifier.rows("select case_id, fen from ledger where kind = 'released'")
    assert (str(row["case_id"]), row["fen"]) == (case_id, 9_800_000)


async def test_a_released_stop_is_neither_warned_of_nor_expires(notifier: Door) -> None:
    case_id, _ = await a_stop(notifier)
    await hear(notifier.pool, a_success(await ordered(notifier, case_id, "release_stop", reason="核实无误")))
    await fire(notifier.pool, HOUR * 49)
    assert await alerts(notifier.pool, case_id, "expired", "expiring") == []


async def test_an_answer_that_comes_after_the_stop_ran_out_warns_nobody_of_the_past(notifier: Door) -> None:
    case_id, _ = await a_stop(notifier, executed_at=now() - HOUR * 47.5)
    await fire(notifier.pool)
    assert len(await alerts(notifier.pool, case_id, "expiring")) == 1
    await fire(notifier.pool, HOUR)
    assert len(await alerts(notifier.pool, case_id, "expired")) == 1


MIGRATIONS = sorted((ROOT / "services" / "notifier" / "migrations").glob("*.sql"))


async def migrate(connection: "asyncpg.Connection[asyncpg.Record]", files: list[Path]) -> None:
    for file in files:
        await connection.execute(file.read_text(encoding="utf-8").partition("-- migrate:down")[0])


async def test_what_was_under_way_before_there_was_a_clock_gets_one(server: DatabaseServer) -> None:
    admin = await asyncpg.connect(server.dsn("postgres"))
    await admin.execute(f"create database {(name := 'clock_' + new_id().hex)}")
    await admin.close()
    connection = await asyncpg.connect(server.dsn(name))
    first = next(number for number, file in enumerate(MIGRATIONS) if "_clock" in file.name)
    await migrate(connection, MIGRATIONS[:first])
    open_case, stopped = await before_the_clock(connection)
    await migrate(connection, MIGRATIONS[first : first + 1])
    rows = await connection.fetch("select case_id, stage, step, due_at < now() as due, subject from deadline")
    found = sorted((row["case_id"] == open_case, row["stage"], row["step"], row["due"]) for row in rows)
    assert found == [
        (False, "expiry", 0, False),
        (False, "feedback", 0, True),
        (False, "warning", 1, False),
        (False, "warning", 6, False),
        (True, "acknowledge", 0, True),
    ]
    assert {row["subject"] for row in rows if row["stage"] in ("warning", "expiry")} == {stopped}
    await connection.close()


async def before_the_clock(connection: "asyncpg.Connection[asyncpg.Record]") -> tuple[UUID, UUID]:
    """A case nobody has taken on, and one with a stop that has ten hours left and a release nobody has answered."""
    await connection.execute("insert into unit (code, name, level, path) values ('SZ', '深圳市公安局', 1, '/SZ/')")
    cases = [new_id(), new_id()]
    for case_id, status in zip(cases, ("open", "acknowledged"), strict=True):
        await connection.execute(
            """
            insert into fraud_case (id, version, payee_token, payee_mask, unit, bank, status, amount_fen, opened_at,
                                    acknowledge_by, changed_at)
            values ($1, 1, gen_random_uuid()::text, '{}', 'SZ', 'ICBC', $2, 100, now() - interval '1 day',
                    now() - interval '23 hours', now())
            """,
            case_id,
            status,
        )
    orders = [new_id(), new_id()]
    for order_id, (kind, status, ends) in zip(
        orders, [("stop", "executed", 10), ("release_stop", "pending", None)], strict=True
    ):
        await connection.execute(
            """
            insert into bank_order (id, version, case_id, payee_token, kind, status, bank, amount_fen, covers,
                                    ordered_at, expires_at, event)
            values ($1, 1, $2, 'token', $3, $4, 'CCB', 100, '{}', now() - interval '1 hour',
                    now() + $5::float8 * interval '1 hour', '')
            """,
            order_id,
            cases[1],
            kind,
            status,
            ends,
        )
    return cases[0], orders[0]
