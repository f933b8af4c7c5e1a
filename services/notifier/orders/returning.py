"""To whom frozen money is returned, and how much. Pure. Amounts in fen.

It goes back to who paid it at the counter, however many accounts it was moved through since.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.notifier.orders.law import Rule, broken
from services.notifier.orders.legality import Transfer
from services.notifier.orders.order import FALLEN, Order
from shared.errors import FieldProblem, invalid
from shared.events import OrderKind, VerdictReached
from shared.privacy import Seal


@dataclass(frozen=True, slots=True)
class Customer:
    """Who paid: their first report, all that cover their transfers, and what left the counter of those."""

    first: VerdictReached
    covers: tuple[UUID, ...]
    paid_fen: int


def customer(named: UUID | None, verdicts: Sequence[VerdictReached], transfers: Sequence[Transfer]) -> Customer:
    """Return whom money of a case is returned to: who made the named report's transfer, or who alone paid.

    `transfers` are those whose money left the counter. Raises where several customers paid and none is named.
    """
    paid = {one.report_id for one in transfers}
    if named is not None:
        about = [one for one in verdicts if one.report.report_id == named]
        if not about:
            raise invalid(FieldProblem(field="report_id", message="is no report of this case"))
    else:
        about = [one for one in verdicts if one.report.report_id in paid] or list(verdicts)
        if len({one.report.payer_token for one in about}) > 1:
            raise broken(Rule.RETURN_TO_ONE)
    payer = about[0].report.payer_token
    theirs = {one.report.report_id for one in verdicts if one.report.payer_token == payer}
    made = [one for one in transfers if one.report_id in theirs]
    covers = tuple(one.report_id for one in made)
    return Customer(about[0], covers, sum(one.amount_fen - one.averted_fen for one in made))


def given_back(covers: Sequence[UUID], mine: Sequence[Order]) -> int:
    """Return what was returned to a customer, or is being, by a case's orders."""
    return sum(
        one.amount_fen if one.returned_fen is None else one.returned_fen
        for one in mine
        if one.kind is OrderKind.RETURN_FUNDS and one.status not in FALLEN and set(covers) & set(one.covers)
    )


def payer_of(verdict: VerdictReached, identity: Seal) -> dict[str, str | None]:
    """Return who paid, as a bank is told. Raises `SealBrokenError`."""
    report = verdict.report
    payer = json.loads(identity.open(report.identity, str(report.report_id)))["payer"]
    return {"name": payer["name"], "account": payer["account"], "bank_code": report.bank}
