"""I4: the ledger equals the model that the clients' own log gives, to the fen."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.faults.journal import Journal, Operation, State
from tests.faults.play import Outcome
from tests.faults.stored import Stored


def money(journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """Each report's money is counted once, each broken-off visit's as averted, each stop's once; the totals agree."""
    filed = _filed(journal, stored)
    broken_off = [one for one in _ended(journal) if one.facts["outcome"] == "cancelled"]
    averted = {one.facts["report_id"]: one.facts["amount_fen"] for one in broken_off if one.state is State.OK}
    _booked(stored, outcome, "reported", filed, set())
    _booked(stored, outcome, "averted", averted, {one.facts["report_id"] for one in broken_off})
    _stopped(journal, stored, outcome, filed, averted)
    entries: Counter[str] = Counter()
    for row in stored.ledger:
        entries[row["kind"]] += row["fen"]
    for kind in sorted(entries.keys() | stored.totals.keys()):
        if stored.totals.get(kind, 0) != entries[kind]:
            outcome.broken.append(
                f"I4 the total of {kind} is {stored.totals.get(kind, 0)}, its entries {entries[kind]}"
            )


def _filed(journal: Journal, stored: Stored) -> dict[str, int]:
    """Return the money of each report that was accepted, or is stored though its client never heard."""
    unsure = {one.facts["bank_reference"]: one.facts["amount_fen"] for one in journal.of("report", State.UNKNOWN)}
    there = {str(row["id"]): row["bank_reference"] for row in stored.reports}
    accepted = {one.id: one.facts["amount_fen"] for one in journal.of("report", State.OK)}
    return {report_id: unsure[name] for report_id, name in there.items() if name in unsure} | accepted


def _ended(journal: Journal) -> list[Operation]:
    return journal.of("disposition", State.OK, State.UNKNOWN)


def _booked(stored: Stored, outcome: Outcome, kind: str, model: Mapping[str, int], may_be: set[str]) -> None:
    """Compare what the ledger holds of a kind with the model, by report; `may_be` names what may be there besides."""
    booked: Counter[str] = Counter()
    for row in stored.ledger:
        if row["kind"] == kind:
            booked[str(row["report_id"])] += row["fen"]
    for report_id, fen in model.items():
        _compare(outcome, f"report {report_id}", kind, booked[report_id], fen)
    for report_id in booked.keys() - model.keys() - may_be:
        outcome.broken.append(f"I4 money of report {report_id} is {kind}, which nobody said")


def _stopped(
    journal: Journal, stored: Stored, outcome: Outcome, filed: Mapping[str, int], averted: Mapping[str, int]
) -> None:
    """A stop holds what its bank said, but no more than what left the counter in the reports it is about.

    A further stop of a case holds the same money again; so does, of its balance, the stop of another case on the same
    account, which counts what it holds besides. Cases with a report or a visit whose end nobody knows are left out.
    """
    unsure = {one.facts["report_id"] for one in _ended(journal) if one.state is State.UNKNOWN}
    booked, turns = _books(stored)
    accounts: dict[str, dict[str, list[_Stop]]] = defaultdict(lambda: defaultdict(list))
    left_out = set()
    for order, told in _answered(journal, stored):
        covers, case_id = {str(report_id) for report_id in order["covers"]}, str(order["case_id"])
        if covers & unsure or covers - filed.keys():
            left_out.add(case_id)
        gone = sum(filed.get(report_id, 0) - averted.get(report_id, 0) for report_id in covers)
        accounts[order["payee_token"]][case_id].append(_Stop(told["stopped_fen"], told["balance_fen"], gone))
    model: dict[str, int] = {}
    for cases in accounts.values():
        elsewhere = 0
        for case_id in sorted(cases, key=lambda one: turns.get(one, datetime.max.replace(tzinfo=UTC))):
            stops = cases[case_id]
            model[case_id] = max(max(0, min(one.said, one.gone, one.balance - elsewhere)) for one in stops)
            elsewhere = max(elsewhere, *(one.said for one in stops))
    for case_id in (model.keys() | booked.keys()) - left_out:
        _compare(outcome, f"case {case_id}", "stopped", booked[case_id], model.get(case_id, 0))


@dataclass(frozen=True, slots=True)
class _Stop:
    """What a bank said that it stopped, of which balance, and what had left the counter to be stopped. In fen."""

    said: int
    balance: int
    gone: int


def _books(stored: Stored) -> tuple[Counter[str], dict[str, datetime]]:
    """Return what was stopped by case, and when each case's first of it was booked: of one account, in turn."""
    booked: Counter[str] = Counter()
    turns: dict[str, datetime] = {}
    for row in stored.ledger:
        if row["kind"] == "stopped":
            case_id = str(row["case_id"])
            booked[case_id] += row["fen"]
            turns[case_id] = min(row["booked_at"], turns.get(case_id, row["booked_at"]))
    return booked, turns


def _answered(journal: Journal, stored: Stored) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each order that its bank has answered, with what it said. What was cut off counts where it arrived."""
    said = {one.facts["order_id"]: one for one in journal.of("feedback", State.OK, State.UNKNOWN)}
    for order_id, order in stored.orders.items():
        told = said.get(order_id)
        if told and (told.state is State.OK or order_id in stored.answers):
            yield order, told.facts


def _compare(outcome: Outcome, whose: str, kind: str, booked: int, expected: int) -> None:
    if booked < expected:
        outcome.lose(f"I4 of {whose} {booked} of {expected} fen are {kind}")
    elif booked > expected:
        outcome.double(f"I4 of {whose} {booked} instead of {expected} fen are {kind}")
