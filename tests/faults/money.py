"""I4: the ledger equals the model that the clients' own log gives, to the fen."""

from collections import Counter, defaultdict
from collections.abc import Mapping

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

    A further stop holds the same money again. Cases with a report or a visit whose end nobody knows are left out.
    """
    unsure = {one.facts["report_id"] for one in _ended(journal) if one.state is State.UNKNOWN}
    said = {one.facts["order_id"]: one.facts["stopped_fen"] for one in journal.of("feedback", State.OK, State.UNKNOWN)}
    model: dict[str, int] = defaultdict(int)
    left_out = set()
    for order_id, order in stored.orders.items():
        covers = {str(report_id) for report_id in order["covers"]}
        if order_id not in said or covers & unsure or covers - filed.keys():
            left_out.add(str(order["case_id"]))
            continue
        gone = sum(filed[report_id] - averted.get(report_id, 0) for report_id in covers)
        case_id = str(order["case_id"])
        model[case_id] = max(model[case_id], min(said[order_id], gone))
    booked: Counter[str] = Counter()
    for row in stored.ledger:
        if row["kind"] == "stopped":
            booked[str(row["case_id"])] += row["fen"]
    for case_id in (model.keys() | booked.keys()) - left_out:
        _compare(outcome, f"case {case_id}", "stopped", booked[case_id], model.get(case_id, 0))


def _compare(outcome: Outcome, whose: str, kind: str, booked: int, expected: int) -> None:
    if booked < expected:
        outcome.lose(f"I4 of {whose} {booked} of {expected} fen are {kind}")
    elif booked > expected:
        outcome.double(f"I4 of {whose} {booked} instead of {expected} fen are {kind}")
