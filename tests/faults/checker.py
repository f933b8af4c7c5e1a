"""The invariants I1 to I6, from the clients' log and the databases alone.

I1 every success is stored · I2 every stored report has exactly one verdict · I3 every alert-level report is in exactly
one case and was alerted once · I4 the ledger equals the model, to the fen · I5 an operation whose answer was lost
exists at most once · I6 every look at personal data and every order has an audit row.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.faults.journal import Journal, State
from tests.faults.play import Outcome


@dataclass(frozen=True, slots=True)
class Stored:
    """What the three databases hold."""

    reports: list[dict[str, Any]]
    dispositions: list[dict[str, Any]]
    shown: dict[str, str]
    judged: list[str]
    counted: dict[str, dict[str, Any]]
    alerts: list[str]
    delivered: set[str]
    cases: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    totals: dict[str, int]
    orders: set[str]
    audited: set[str]
    unanswered: int


async def settled(databases: Mapping[str, str], seconds: float) -> float:
    """Return how long it took until no obligation was left open; raise `TimeoutError` after `seconds`."""
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(seconds):
        while await unanswered(databases):  # noqa: ASYNC110 - other processes answer
            await asyncio.sleep(0.1)
    return asyncio.get_running_loop().time() - began


async def unanswered(databases: Mapping[str, str]) -> int:
    """Count what the outboxes of all services still hold: what is to be said, and what awaits an answer."""
    left = 0
    for service in databases:
        rows = await _rows(databases, service, "select count(*) as n from outbox")
        left += rows[0]["n"]
    return left


async def read(databases: Mapping[str, str]) -> Stored:
    """Read what the databases hold."""
    intake, rules, notifier = "intake", "rules", "notifier"
    shown = await _rows(databases, intake, "select report_id, level from verdict")
    judged = await _rows(databases, rules, "select report_id from verdict where version = 1")
    counted = await _rows(databases, notifier, "select id, level, case_id from report")
    alerts = await _rows(
        databases,
        notifier,
        "select id, report_id from alert where report_id is not null and facts ->> 'kind' in ('opened', 'joined')",
    )
    delivered = await _rows(databases, notifier, "select message_id from delivery where state = 'delivered'")
    totals = await _rows(databases, notifier, "select kind, sum(fen)::bigint as fen from ledger_total group by kind")
    reached = {row["message_id"] for row in delivered}
    return Stored(
        reports=await _rows(databases, intake, "select id, bank, bank_reference, idempotency_key from report"),
        dispositions=await _rows(databases, intake, "select report_id, amount_fen from disposition"),
        shown={str(row["report_id"]): row["level"] for row in shown},
        judged=[str(row["report_id"]) for row in judged],
        counted={str(row["id"]): row for row in counted},
        alerts=[str(row["report_id"]) for row in alerts],
        delivered={str(row["report_id"]) for row in alerts if row["id"] in reached},
        cases=await _rows(databases, notifier, "select id, payee_token from fraud_case where status <> 'closed'"),
        ledger=await _rows(databases, notifier, "select kind, report_id, fen from ledger"),
        totals={row["kind"]: row["fen"] for row in totals},
        orders={str(row["id"]) for row in await _rows(databases, notifier, "select id from bank_order")},
        audited={str(row["subject"]) for row in await _rows(databases, notifier, "select subject from audit")},
        unanswered=await unanswered(databases),
    )


async def check(databases: Mapping[str, str], journal: Journal) -> Outcome:
    """Hold what the clients were told against what is stored. Call it when everything is `settled`."""
    stored = await read(databases)
    outcome = Outcome(operations=len(journal))
    for invariant in (_stored, _judged, _alerted, _money, _at_most_once, _audited):
        invariant(journal, stored, outcome)
    if stored.unanswered:
        outcome.broken.append(f"{stored.unanswered} obligations are open still")
    return outcome


def _stored(journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I1: every success is stored, and nothing that was refused is."""
    there = {str(row["id"]) for row in stored.reports}
    for operation in journal.of("report", State.OK):
        if operation.id not in there:
            _lose(outcome, f"I1 report {operation.id} was accepted and is not stored")
    references = {row["bank_reference"] for row in stored.reports}
    for operation in journal.of("report", State.FAILED):
        if operation.facts["bank_reference"] in references:
            outcome.broken.append(f"I1 report {operation.facts['bank_reference']} was refused and is stored")
    ended = {str(row["report_id"]): row["amount_fen"] for row in stored.dispositions}
    for operation in journal.of("disposition", State.OK):
        if ended.get(operation.facts["report_id"]) != operation.facts["amount_fen"]:
            _lose(outcome, f"I1 the disposition of {operation.facts['report_id']} was accepted and is not stored")


def _judged(_journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I2: every stored report has exactly one verdict, which its bank can see."""
    times = Counter(stored.judged)
    for row in stored.reports:
        report_id = str(row["id"])
        if report_id not in times or report_id not in stored.shown or report_id not in stored.counted:
            where = [
                name
                for name, there in (
                    ("rules", report_id in times),
                    ("the bank's view", report_id in stored.shown),
                    ("the police's count", report_id in stored.counted),
                )
                if not there
            ]
            _lose(outcome, f"I2 the verdict of report {report_id} is missing in {', '.join(where)}")
        elif times[report_id] > 1:
            _double(outcome, f"I2 report {report_id} was judged {times[report_id]} times")


def _alerted(_journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I3: every alert-level report is in one case and was alerted once; an account has one open case."""
    times = Counter(stored.alerts)
    for report_id, row in stored.counted.items():
        urgent = row["level"] == "alert"
        if urgent and (row["case_id"] is None or not times[report_id]):
            _lose(
                outcome,
                f"I3 report {report_id} is at alert level and {'has no alert' if row['case_id'] else 'in no case'}",
            )
        if times[report_id] > 1:
            _double(outcome, f"I3 report {report_id} was alerted {times[report_id]} times")
        if not urgent and row["case_id"] is not None:
            outcome.broken.append(f"I3 report {report_id} is in a case below alert level")
    for token, number in Counter(case["payee_token"] for case in stored.cases).items():
        if number > 1:
            _double(outcome, f"I3 account {token[:12]} has {number} open cases")


def _money(journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I4: each report's money is counted once, each broken-off visit's as averted; the totals agree."""
    filed = {one.id: one.facts["amount_fen"] for one in journal.of("report", State.OK)}
    ended = journal.of("disposition", State.OK, State.UNKNOWN)
    broken_off = [one for one in ended if one.facts["outcome"] == "cancelled"]
    averted = {one.facts["report_id"]: one.facts["amount_fen"] for one in broken_off if one.state is State.OK}
    _booked(stored, outcome, "reported", filed, {str(row["id"]) for row in stored.reports})
    _booked(stored, outcome, "averted", averted, {one.facts["report_id"] for one in broken_off})


def _booked(stored: Stored, outcome: Outcome, kind: str, model: Mapping[str, int], may_be: set[str]) -> None:
    """Compare what the ledger holds of a kind with the model, by report; `may_be` names what may be there besides."""
    booked: Counter[str] = Counter()
    for row in stored.ledger:
        if row["kind"] == kind:
            booked[str(row["report_id"])] += row["fen"]
    for report_id, fen in model.items():
        if booked[report_id] < fen:
            _lose(outcome, f"I4 of report {report_id} {booked[report_id]} of {fen} fen are {kind}")
        elif booked[report_id] > fen:
            _double(outcome, f"I4 of report {report_id} {booked[report_id]} instead of {fen} fen are {kind}")
    for report_id in booked.keys() - model.keys() - may_be:
        outcome.broken.append(f"I4 money of report {report_id} is {kind}, which nobody said")
    if stored.totals.get(kind, 0) != booked.total():
        outcome.broken.append(f"I4 the total of {kind} is {stored.totals.get(kind, 0)}, its entries {booked.total()}")


def _at_most_once(journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I5: whatever its client knows, an operation exists at most once."""
    times = Counter((row["bank"], row["bank_reference"]) for row in stored.reports)
    for (bank, reference), number in times.items():
        if number > 1:
            _double(outcome, f"I5 reference {reference} of {bank} is stored {number} times")
    asked = {one.facts["bank_reference"] for one in journal.of("report")}
    for row in stored.reports:
        if row["bank_reference"] not in asked:
            outcome.broken.append(f"I5 reference {row['bank_reference']} is stored and nobody asked for it")


def _audited(journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I6: every order and every look the clients know of has an audit row."""
    for subject in [*stored.orders, *(one.facts["subject"] for one in journal.of("look", State.OK))]:
        if subject not in stored.audited:
            outcome.broken.append(f"I6 {subject} has no audit row")


def _lose(outcome: Outcome, sentence: str) -> None:
    outcome.lost += 1
    outcome.broken.append(sentence)


def _double(outcome: Outcome, sentence: str) -> None:
    outcome.doubled += 1
    outcome.broken.append(sentence)


async def _rows(databases: Mapping[str, str], service: str, sql: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(databases[service], server_settings={"search_path": service})
    try:
        return [dict(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()
