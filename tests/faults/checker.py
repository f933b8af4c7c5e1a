"""The invariants I1 to I6, from the clients' log and the databases alone.

I1 every success is stored · I2 every stored report has exactly one verdict · I3 every alert-level report is in exactly
one case and was alerted once · I4 the ledger equals the model, to the fen (`money.py`) · I5 an operation whose answer
was lost exists at most once · I6 every look at personal data and every order has an audit row.
"""

from collections import Counter
from collections.abc import Mapping

from tests.faults.journal import Journal, State
from tests.faults.money import money
from tests.faults.play import Outcome
from tests.faults.stored import Stored, read, settled, unanswered, undelivered

__all__ = ["Stored", "check", "read", "settled", "unanswered", "undelivered"]


async def check(databases: Mapping[str, str], journal: Journal, *, delivered: bool = False) -> Outcome:
    """Hold what the clients were told against what is stored. Call it when everything is `settled`.

    `delivered`: there is a target, so each alert-level report must have an alert that it took.
    """
    stored = await read(databases)
    outcome = Outcome(operations=len(journal))
    for invariant in (_stored, _decided, _judged, _alerted, money, _at_most_once, _audited):
        invariant(journal, stored, outcome)
    if delivered:
        _delivered(stored, outcome)
    if stored.unanswered:
        outcome.broken.append(f"{stored.unanswered} obligations are open still")
    return outcome


def _stored(journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I1: every success is stored, and nothing that was refused is."""
    there = {str(row["id"]) for row in stored.reports}
    for operation in journal.of("report", State.OK):
        if operation.id not in there:
            outcome.lose(f"I1 report {operation.id} was accepted and is not stored")
    references = {row["bank_reference"] for row in stored.reports}
    for operation in journal.of("report", State.FAILED):
        if operation.facts["bank_reference"] in references:
            outcome.broken.append(f"I1 report {operation.facts['bank_reference']} was refused and is stored")
    ended = {str(row["report_id"]): row["amount_fen"] for row in stored.dispositions}
    for operation in journal.of("disposition", State.OK):
        if ended.get(operation.facts["report_id"]) != operation.facts["amount_fen"]:
            outcome.lose(f"I1 the disposition of {operation.facts['report_id']} was accepted and is not stored")


def _decided(journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I1, police and orders: each success of an officer, and each answer of a bank to an order, is stored."""
    taken_on = {str(row["id"]) for row in stored.cases if row["acknowledged_at"]}
    for operation in journal.of("acknowledgement", State.OK):
        if operation.facts["case_id"] not in taken_on:
            outcome.lose(f"I1 case {operation.facts['case_id']} was acknowledged and is open")
    for operation in journal.of("order", State.OK):
        if operation.id not in stored.orders:
            outcome.lose(f"I1 order {operation.id} was given and is not stored")
    for operation in journal.of("feedback", State.OK):
        order_id = operation.facts["order_id"]
        status = stored.orders.get(order_id, {}).get("status")
        if order_id not in stored.answers or status not in ("executed", "failed"):
            outcome.lose(f"I1 the answer to order {order_id} was taken, and the order is {status}")


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
            outcome.lose(f"I2 the verdict of report {report_id} is missing in {', '.join(where)}")
        elif times[report_id] > 1:
            outcome.double(f"I2 report {report_id} was judged {times[report_id]} times")


def _alerted(_journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I3: every alert-level report is in one case and was alerted once; an account has one open case."""
    times = Counter(stored.alerts)
    for report_id, row in stored.counted.items():
        urgent = row["level"] == "alert"
        if urgent and (row["case_id"] is None or not times[report_id]):
            outcome.lose(
                f"I3 report {report_id} is at alert level and {'has no alert' if row['case_id'] else 'in no case'}"
            )
        if times[report_id] > 1:
            outcome.double(f"I3 report {report_id} was alerted {times[report_id]} times")
        if not urgent and row["case_id"] is not None:
            outcome.broken.append(f"I3 report {report_id} is in a case below alert level")
    still_open = Counter(case["payee_token"] for case in stored.cases if case["status"] != "closed")
    for token, number in still_open.items():
        if number > 1:
            outcome.double(f"I3 account {token[:12]} has {number} open cases")


def _delivered(stored: Stored, outcome: Outcome) -> None:
    """I3, where there is a target: an alert of each alert-level report was delivered."""
    for report_id, row in stored.counted.items():
        if row["level"] == "alert" and report_id not in stored.delivered:
            outcome.lose(f"I3 no alert of report {report_id} was delivered")


def _at_most_once(journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I5: whatever its client knows, an operation exists at most once."""
    times = Counter((row["bank"], row["bank_reference"]) for row in stored.reports)
    for (bank, reference), number in times.items():
        if number > 1:
            outcome.double(f"I5 reference {reference} of {bank} is stored {number} times")
    asked = {one.facts["bank_reference"] for one in journal.of("report")}
    for row in stored.reports:
        if row["bank_reference"] not in asked:
            outcome.broken.append(f"I5 reference {row['bank_reference']} is stored and nobody asked for it")
    wanted = Counter(one.facts["case_id"] for one in journal.of("order"))
    for case_id, number in Counter(str(row["case_id"]) for row in stored.orders.values()).items():
        if number > wanted[case_id]:
            outcome.double(f"I5 case {case_id} has {number} orders, of which its officers gave {wanted[case_id]}")


def _audited(journal: Journal, stored: Stored, outcome: Outcome) -> None:
    """I6: every order, and every look the clients know of, has an audit row where it happened."""
    for order_id in stored.orders:
        if order_id not in stored.audited["notifier"]:
            outcome.broken.append(f"I6 order {order_id} has no audit row")
    for operation in journal.of("look", State.OK):
        where, subject = operation.facts["at"], operation.facts["subject"]
        if subject not in stored.audited[where]:
            outcome.broken.append(f"I6 the look at {subject} has no audit row in {where}")
