"""`lanjie ledger verify`: silent where the ledger is right, and naming each thing that is not."""

import asyncio

import pytest
from typer.testing import CliRunner

from services.cli import main
from services.notifier.money import verifying
from services.notifier.money.verifying import Verified
from shared.events import Level
from shared.outbox import new_id
from shared.postgres import Pool
from tests.bench.torture import torture
from tests.parts import DatabaseServer, Door
from tests.service.notifier.builders import a_disposition, a_success, a_verdict, an_account, count, hear, take
from tests.service.notifier.police import a_case, approved, ordered


@pytest.fixture
async def stopped(notifier: Door) -> str:
    """A case with 1,000 fen reported, 400 averted, 600 of 900 stopped; and a report in none. Its id."""
    verdict = a_verdict(an_account(), amount_fen=1_000)
    case_id = await a_case(notifier, verdict)
    await hear(notifier.pool, a_success(await ordered(notifier, case_id), stopped_fen=900))
    await count(notifier.pool, a_disposition(verdict, amount_fen=400))
    await take(notifier.pool, a_verdict(an_account(), amount_fen=70, level=Level.CAUTION))
    return case_id


async def verified(pool: Pool) -> Verified:
    async with pool.acquire() as connection:
        return await verifying.verify(connection)


async def broken(pool: Pool, sql: str, *values: object) -> list[tuple[str, str, object, object]]:
    """Change what must not change, as a mistake of ours might; return what is found of it."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await connection.execute(sql, *values)
    found = (await verified(pool)).differences
    return [(one.about.partition(" ")[0], one.what, one.expected, one.found) for one in found]


async def test_a_ledger_that_is_right_has_no_differences(notifier: Door, stopped: str) -> None:
    assert stopped
    found = await verified(notifier.pool)
    assert found == Verified(cases=1, reports=2, orders=1, entries=5), "and says what was looked at"


async def test_money_that_was_booked_wrongly_is_named_with_its_case(notifier: Door, stopped: str) -> None:
    await broken(notifier.pool, "update ledger set fen = fen + 1 where kind = 'stopped' and fen > 0")
    [of_case, total] = (await verified(notifier.pool)).differences
    assert (of_case.about, of_case.what) == (f"case {stopped}", "stopped of ICBC in SZ-LH-CZ")
    assert (of_case.expected, of_case.found) == (600, 601)
    assert (total.about, total.expected, total.found) == ("total", 601, 600)


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("delete from ledger where kind = 'averted'", ("report", "averted of ICBC in SZ-LH-CZ", 400, 0)),
        ("update ledger_total set fen = 7 where kind = 'averted'", ("total", "averted of ICBC in SZ-LH-CZ", 400, 7)),
        ("update bank_order set stopped_fen = 1", ("order", "stopped_fen", 900, 1)),
        ("update bank_order set status = 'failed'", ("order", "status", "executed", "failed")),
        ("delete from feedback", None),
        ("update report set amount_fen = 2 where case_id is not null", ("report", "amount_fen", 1_000, 2)),
        (
            "update bank_order set ended_at = now(), ended_why = 'released'",
            ("order", "how the hold ended", "by an order", "released by none"),
        ),
        ("update ledger set unit = 'SZ-FT' where kind = 'averted'", ("report", "averted of ICBC in SZ-FT", 0, 400)),
    ],
)
async def test_each_thing_that_is_not_as_the_events_say_is_named(
    notifier: Door, stopped: str, sql: str, named: tuple[str, str, object, object] | None
) -> None:
    assert stopped
    found = await broken(notifier.pool, sql)
    assert named in found if named else found == []


@pytest.fixture
async def frozen(notifier: Door, stopped: str) -> str:
    """The same case, and what was stopped is frozen."""
    freeze = await approved(notifier, await ordered(notifier, stopped, "freeze"))
    await hear(notifier.pool, a_success(freeze))
    assert (await verified(notifier.pool)).differences == []
    return stopped


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("update bank_order set amount_fen = amount_fen - 1 where kind = 'freeze'", ("order", "amount_fen")),
        ("update bank_order set bank = 'ABC'", ("order", "bank")),
        ("update bank_order set kind = 'extend_stop' where kind = 'stop'", ("order", "kind")),
        ("update bank_order set account_level = 2", ("order", "account_level")),
        ("update bank_order set acts_on = null", ("order", "acts_on")),
        ("update bank_order set expires_at = expires_at + interval '1 second'", ("order", "expires_at")),
        ("update bank_order set bank_stopped_at = now() - interval '3 hours'", ("order", "expires_at")),
        ("update bank_order set executed_at = null", ("order", "executed_at")),
        ("update bank_order set answered_at = null", ("order", "answered_at")),
        ("update bank_order set ended_why = null where kind = 'stop'", ("order", "how the hold ended")),
        ("update bank_order set ended_at = null where kind = 'stop'", ("order", "how the hold ended")),
        ("update bank_order set event = ''", ("order", "event")),
        ("update feedback set event = ''", ("order", "the bank's answer")),
        (
            "delete from feedback where order_id in (select id from bank_order where kind = 'freeze')",
            ("order", "the bank's answer"),
        ),
        ("update report set alike = 'x'", ("report", "alike")),
        ("update report set observed_at = now()", ("report", "observed_at")),
        ("update report set verdict = ''", ("report", "verdict")),
        ("update fraud_case set amount_fen = 1", ("case", "amount of its reports")),
        ("update fraud_case set split_from = id", ("total", "cases looked at")),
        ("delete from ledger_total", ("total", "frozen of ICBC in SZ-LH-CZ")),
    ],
)
async def test_what_has_not_moved_money_yet_is_named_too(
    notifier: Door, frozen: str, sql: str, named: tuple[str, str]
) -> None:
    assert frozen
    assert named in [one[:2] for one in await broken(notifier.pool, sql)]


async def test_money_booked_for_a_case_that_there_is_not_is_named(notifier: Door, stopped: str) -> None:
    assert stopped
    sql = "insert into ledger (id, cause, kind, fen, bank, unit, case_id) values ($1, $1, 'lost', 5, 'ICBC', 'SZ', $1)"
    found = await broken(notifier.pool, sql, new_id())
    assert ("case", "lost, of what is not there", 0, 5) in found


async def test_orders_answered_before_answers_were_kept_are_taken_as_they_stand(notifier: Door, stopped: str) -> None:
    assert stopped
    await broken(notifier.pool, "delete from feedback")
    found = await verified(notifier.pool)
    assert (found.answers_not_kept, found.differences) == (1, [])


async def test_the_command_ends_with_code_1_and_a_table_where_something_differs(
    notifier: Door, dsn_of_notifier: str, stopped: str
) -> None:
    runner = CliRunner(env={"DATABASE_URL": dsn_of_notifier, "COLUMNS": "200"})
    right = await asyncio.to_thread(runner.invoke, main, ["ledger", "verify"])
    assert (right.exit_code, "1 cases, 2 reports, 1 orders, 5 entries: 0 differences" in right.output) == (0, True)
    await broken(notifier.pool, "update ledger set fen = fen + 1 where kind = 'stopped' and fen > 0")
    wrong = await asyncio.to_thread(runner.invoke, main, ["ledger", "verify"])
    assert wrong.exit_code == 1
    for text in (stopped, "stopped of ICBC in SZ-LH-CZ", "600", "601", "2 differences"):
        assert text in wrong.output


@pytest.fixture
async def dsn_of_notifier(notifier: Door, server: DatabaseServer) -> str:
    return server.dsn(await notifier.pool.fetchval("select current_database()"))


async def test_cases_of_many_reports_are_compared_a_few_at_a_time_and_each_is_named(
    notifier: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "REPORTS_AT_ONCE", 2)
    for reports in (3, 1, 1, 2):
        account = an_account()
        await take(notifier.pool, *(a_verdict(account, amount_fen=10) for _ in range(reports)))
    pages: list[int] = []
    async with notifier.pool.acquire() as connection:
        found = await verifying.verify(connection, lambda so_far: pages.append(so_far.reports))
    assert (found.differences, found.cases, found.reports) == ([], 4, 7)
    assert pages == [3, 5, 7], "a case is never parted"
    told = await broken(notifier.pool, "update fraud_case set amount_fen = amount_fen + 1")
    assert [(about, expected, is_now) for about, _, expected, is_now in told] == [
        ("case", 30, 31),
        ("case", 10, 11),
        ("case", 10, 11),
        ("case", 20, 21),
    ]


async def test_after_a_torture_of_random_lives_nothing_differs_to_the_fen(pool: Pool, dsn: str) -> None:
    outcome = await torture(pool, dsn, cases=60, seed=3, rounds=12)
    assert outcome.verified.differences == []
    assert outcome.booked == outcome.expected
    assert outcome.booked["stopped"] > outcome.booked["frozen"] > 0, "and something has happened"
