"""The checker finds each kind of loss and doubling, planted in databases that have no constraint to prevent it."""

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from tests.faults.checker import check
from tests.faults.journal import Journal, State
from tests.faults.play import Outcome
from tests.parts import DatabaseServer

TABLES: Final = {
    "intake": ("report", "disposition", "verdict", "feedback", "audit", "outbox"),
    "rules": ("verdict", "outbox"),
    "notifier": (
        *("report", "alert", "delivery", "fraud_case", "bank_order", "ledger", "ledger_total", "audit", "outbox"),
    ),
}
REPORT, PLAIN, CASE, ALERT, ORDER = (str(uuid.UUID(int=number)) for number in range(1, 6))
NOBODY: Final = str(uuid.UUID(int=99))

HEALTHY: Final = {
    "intake": [
        (
            f"insert into report (id, bank, bank_reference, idempotency_key, amount_fen) values "
            f"('{REPORT}', 'ICBC', 'R1', 'k1', 100), ('{PLAIN}', 'ICBC', 'R2', 'k2', 40)"
        ),
        f"insert into disposition (report_id, amount_fen) values ('{PLAIN}', 40)",
        f"insert into verdict (report_id, level) values ('{REPORT}', 'alert'), ('{PLAIN}', 'clear')",
        f"insert into feedback (order_id) values ('{ORDER}')",
        f"insert into audit (subject) values ('{ORDER}')",
    ],
    "rules": [f"insert into verdict (report_id, version) values ('{REPORT}', 1), ('{PLAIN}', 1)"],
    "notifier": [
        f"insert into report (id, level, case_id) values ('{REPORT}', 'alert', '{CASE}'), ('{PLAIN}', 'clear', null)",
        f"insert into alert (id, report_id, facts) values ('{ALERT}', '{REPORT}', '{json.dumps({'kind': 'opened'})}')",
        f"insert into delivery (message_id, state) values ('{ALERT}', 'delivered')",
        (
            f"insert into fraud_case (id, payee_token, status, acknowledged_at) values "
            f"('{CASE}', 'token', 'acknowledged', now())"
        ),
        (
            f"insert into bank_order (id, case_id, payee_token, kind, status, covers) values "
            f"('{ORDER}', '{CASE}', 'token', 'stop', 'executed', array['{REPORT}']::uuid[])"
        ),
        (
            f"insert into ledger (kind, report_id, case_id, fen, booked_at) values "
            f"('reported', '{REPORT}', null, 100, now()), ('reported', '{PLAIN}', null, 40, now()), "
            f"('averted', '{PLAIN}', null, 40, now()), ('stopped', null, '{CASE}', 70, now())"
        ),
        "insert into ledger_total (kind, fen) values ('reported', 140), ('averted', 40), ('stopped', 70)",
        f"insert into audit (subject) values ('{ORDER}'), ('{CASE}')",
    ],
}


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to a healthy world, and the sentence that must be found."""

    service: str
    sql: str
    found: str
    lost: bool = False
    doubled: bool = False


DAMAGES: Final = (
    Damage("intake", f"delete from report where id = '{REPORT}'", "accepted and is not stored", lost=True),
    Damage(
        "intake", "insert into report (id, bank, bank_reference) values (gen_random_uuid(), 'ICBC', 'NO')", "refused"
    ),
    Damage("intake", "delete from disposition", "I1 the disposition of", lost=True),
    Damage("intake", "delete from feedback", "I1 the answer to order", lost=True),
    Damage("intake", f"delete from verdict where report_id = '{PLAIN}'", "missing in the bank's view", lost=True),
    Damage("intake", "insert into report select * from report where bank_reference = 'R1'", "stored 2", doubled=True),
    Damage(
        "intake",
        "insert into report (id, bank, bank_reference) values (gen_random_uuid(), 'ICBC', 'R9')",
        "nobody asked for it",
    ),
    Damage("intake", "delete from audit", "has no audit row in intake"),
    Damage("intake", "insert into outbox (id) values (gen_random_uuid())", "1 obligations are open"),
    Damage("rules", f"delete from verdict where report_id = '{REPORT}'", "missing in rules", lost=True),
    Damage("rules", f"insert into verdict (report_id, version) values ('{REPORT}', 1)", "judged 2", doubled=True),
    Damage("notifier", f"delete from report where id = '{PLAIN}'", "missing in the police's count", lost=True),
    Damage("notifier", f"update report set case_id = null where id = '{REPORT}'", "in no case", lost=True),
    Damage("notifier", f"update report set case_id = '{CASE}'", "in a case below alert level"),
    Damage("notifier", "delete from alert", "has no alert", lost=True),
    Damage("notifier", "insert into alert select * from alert", "alerted 2 times", doubled=True),
    Damage("notifier", "update delivery set state = 'dead'", "no alert of report", lost=True),
    Damage(
        "notifier",
        "insert into fraud_case (id, payee_token, status) values (gen_random_uuid(), 'token', 'open')",
        "has 2 open cases",
        doubled=True,
    ),
    Damage("notifier", "update fraud_case set acknowledged_at = null", "was acknowledged and is open", lost=True),
    Damage("notifier", "update bank_order set status = 'pending'", "the order is pending", lost=True),
    Damage("notifier", "delete from bank_order", "was given and is not stored", lost=True),
    Damage("notifier", "delete from ledger where kind = 'averted'", "0 of 40 fen are averted", lost=True),
    Damage("notifier", f"update ledger set fen = 99 where report_id = '{REPORT}'", "99 of 100 fen", lost=True),
    Damage("notifier", "update ledger set fen = 140 where kind = 'stopped'", "140 instead of 70", doubled=True),
    Damage("notifier", "insert into ledger select * from ledger", "200 instead of 100", doubled=True),
    Damage(
        "notifier",
        f"insert into ledger (kind, report_id, fen) values ('averted', '{NOBODY}', 5)",
        "averted, which nobody said",
    ),
    Damage("notifier", "update ledger_total set fen = 141 where kind = 'reported'", "the total of reported is 141"),
    Damage("notifier", f"delete from audit where subject = '{ORDER}'", "has no audit row"),
    Damage("notifier", f"delete from audit where subject = '{CASE}'", "the look at"),
)


@pytest.fixture(scope="module")
def databases(server: DatabaseServer) -> dict[str, str]:
    """Return databases of three services whose tables take anything."""
    return asyncio.run(_without_constraints(server))


async def _without_constraints(server: DatabaseServer) -> dict[str, str]:
    databases = {service: await server.clone(service) for service in TABLES}
    for service, dsn in databases.items():
        for name in TABLES[service]:
            statements = (
                f"create table plain as table {name} with no data",
                f"drop table {name} cascade",
                f"alter table plain rename to {name}",
            )
            await _run(dsn, service, statements)
    return databases


@pytest.fixture
async def world(databases: dict[str, str]) -> dict[str, str]:
    """Return databases in which all is well."""
    for service, dsn in databases.items():
        await _run(dsn, service, [f"truncate {', '.join(TABLES[service])}", *HEALTHY[service]])
    return databases


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Return the log of clients to whom all of it was answered."""
    made = Journal(tmp_path / "journal.jsonl")
    _told(made, "report", {"bank_reference": "R1", "amount_fen": 100}, REPORT)
    _told(made, "report", {"bank_reference": "R2", "amount_fen": 40}, PLAIN)
    made.end(made.begin("report", "refused", {"bank_reference": "NO", "amount_fen": 1}), State.FAILED)
    _told(made, "disposition", {"report_id": PLAIN, "outcome": "cancelled", "amount_fen": 40})
    _told(made, "acknowledgement", {"case_id": CASE})
    _told(made, "order", {"case_id": CASE}, ORDER)
    _told(made, "feedback", {"order_id": ORDER, "stopped_fen": 70, "balance_fen": 90})
    _told(made, "look", {"subject": CASE, "at": "notifier"})
    made.end(made.begin("look", "bank's", {"subject": ORDER, "at": "intake"}), State.OK)
    return made


def _told(journal: Journal, kind: str, facts: dict[str, object], answered_id: str = "") -> None:
    journal.end(journal.begin(kind, f"{kind} {answered_id}", facts), State.OK, answered_id)


async def _run(dsn: str, service: str, statements: Sequence[str]) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": service})
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def checked(world: Mapping[str, str], journal: Journal, damage: Damage | None = None) -> Outcome:
    if damage:
        await _run(world[damage.service], damage.service, [damage.sql])
    return await check(world, journal, delivered=True)


async def test_a_healthy_world_passes(world: dict[str, str], journal: Journal) -> None:
    outcome = await checked(world, journal)
    assert outcome.healthy, outcome.broken
    assert outcome.operations == len(journal)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: f"{damage.service}: {damage.found}")
async def test_a_planted_fault_is_found(world: dict[str, str], journal: Journal, damage: Damage) -> None:
    outcome = await checked(world, journal, damage)
    assert any(damage.found in sentence for sentence in outcome.broken), outcome.broken
    assert not damage.lost or outcome.lost
    assert not damage.doubled or outcome.doubled


async def test_two_orders_where_one_was_given_are_a_doubling(world: dict[str, str], journal: Journal) -> None:
    second = (
        f"insert into bank_order (id, case_id, kind, status, covers) values "
        f"('{NOBODY}', '{CASE}', 'stop', 'pending', array['{REPORT}']::uuid[])"
    )
    outcome = await checked(world, journal, Damage("notifier", second, ""))
    assert any(f"case {CASE} has 2 orders, of which its officers gave 1" in sentence for sentence in outcome.broken)


async def test_an_operation_whose_answer_was_lost_may_be_there_or_not(world: dict[str, str], journal: Journal) -> None:
    journal.begin("report", "lost on the way", {"bank_reference": "R3", "amount_fen": 7})
    assert (await checked(world, journal)).healthy


async def test_money_is_counted_of_a_stored_report_whose_answer_was_lost(
    world: dict[str, str], journal: Journal
) -> None:
    journal.begin("report", f"report {REPORT}", {"bank_reference": "R1", "amount_fen": 100})
    assert (await checked(world, journal)).healthy
    twice = f"update ledger set fen = 200 where report_id = '{REPORT}'"
    outcome = await checked(world, journal, Damage("notifier", twice, ""))
    assert any("200 instead of 100 fen are reported" in sentence for sentence in outcome.broken)


async def test_an_answer_that_was_cut_off_counts_where_it_arrived(world: dict[str, str], journal: Journal) -> None:
    journal.begin("feedback", "feedback ", {"order_id": ORDER, "stopped_fen": 70, "balance_fen": 90})
    assert (await checked(world, journal)).healthy
    outcome = await checked(world, journal, Damage("intake", "delete from feedback", ""))
    assert any("70 instead of 0 fen are stopped" in sentence for sentence in outcome.broken), outcome.broken


@pytest.mark.parametrize(("booked", "found"), [(20, ""), (50, "50 instead of 20"), (0, "0 of 20")])
async def test_what_one_case_holds_another_does_not_hold_again(
    world: dict[str, str], journal: Journal, booked: int, found: str
) -> None:
    _told(journal, "order", {"case_id": NOBODY}, NOBODY)
    facts = {"order_id": NOBODY, "stopped_fen": 50, "balance_fen": 90}
    journal.end(journal.begin("feedback", "the second's", facts), State.OK)
    later = [
        "update fraud_case set status = 'closed'",
        (
            f"insert into bank_order (id, case_id, payee_token, kind, status, covers) values "
            f"('{NOBODY}', '{NOBODY}', 'token', 'stop', 'executed', array['{REPORT}']::uuid[])"
        ),
        (
            f"insert into ledger (kind, case_id, fen, booked_at) "
            f"select 'stopped', '{NOBODY}', {booked}, now() + interval '1 second' where {booked} > 0"
        ),
        f"update ledger_total set fen = fen + {booked} where kind = 'stopped'",
        f"insert into audit (subject) values ('{NOBODY}')",
    ]
    await _run(world["intake"], "intake", [f"insert into feedback (order_id) values ('{NOBODY}')"])
    await _run(world["notifier"], "notifier", later)
    outcome = await checked(world, journal)
    assert outcome.healthy if not found else any(found in sentence for sentence in outcome.broken), outcome.broken
