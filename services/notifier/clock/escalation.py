"""notifier's use case that the clock brings: what has come due is followed up, set by set, in one transaction.

It returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from services.notifier.alerting import alert, alert_store
from services.notifier.alerting.alert_store import Alert
from services.notifier.cases import store
from services.notifier.cases.announcing import announce
from services.notifier.cases.case import Case
from services.notifier.clock import clock_store, overdue
from services.notifier.clock.clock import Due, Stage
from services.notifier.clock.overdue import Follows, Situation
from services.notifier.money import ledger, money_store
from services.notifier.office import Office
from services.notifier.orders import order_store, pushing
from services.notifier.orders.order import Order
from shared.outbox import Outgoing, keep, new_id
from shared.postgres import TRANSIENT, Connection


class NotFiredError(Exception):
    """Deadlines of these cases could not be followed up, for a reason that does not go away by itself.

    Its cause is in the log; the cases lie in the database as they were, and are tried again after a while.
    """

    def __init__(self, case_ids: Sequence[UUID]) -> None:
        super().__init__(f"{len(case_ids)} cases")
        self.case_ids = case_ids


@dataclass(frozen=True, slots=True)
class Settled:
    """A deadline that has come, its case, and what followed: nothing, where what was due is done."""

    due: Due
    case: Case
    follows: Follows | None


@dataclass(frozen=True, slots=True)
class Fired:
    """What a look at the clock has led to. `ask_again` are orders whose banks are asked again."""

    settled: Sequence[Settled] = ()
    rows: list[Outgoing] = field(default_factory=list)
    ask_again: Sequence[UUID] = ()


async def fire(office: Office, now: datetime, most: int, but_not: Collection[UUID] = ()) -> Fired:
    """Follow up what has been due the longest, except in cases somebody is at work on and in those of `but_not`.

    Raises `NotFiredError`; then nothing of it has happened.
    """
    async with office.pool.acquire() as connection, connection.transaction():
        cases = await clock_store.claim(connection, now, most, but_not)
        if not cases:
            return Fired()
        try:
            settled = await _settle(connection, office, {case.id: case for case in cases}, now)
            rows = await _write(connection, settled, now)
        except TRANSIENT:
            raise
        except Exception as error:
            raise NotFiredError([case.id for case in cases]) from error
    asked = [one.follows.about.id for one in settled if one.follows and one.follows.ask_bank and one.follows.about]
    return Fired(settled, rows, asked)


async def _settle(
    connection: Connection, office: Office, cases: Mapping[UUID, Case], now: datetime
) -> Sequence[Settled]:
    """Decide what follows from everything that is due in cases that are locked."""
    dues = await clock_store.due_in(connection, list(cases), now)
    ways = await clock_store.ways_up(connection, {case.in_charge for case in cases.values()})
    orders = await order_store.orders_beside(connection, [due.what.subject for due in dues if due.what.subject])
    late = {due.what.case_id for due in dues if due.what.stage is Stage.ORDER}
    to_be_stopped = await clock_store.to_be_stopped(connection, sorted(late)) if late else set()
    moot = overdue.overtaken(dues)
    settled = []
    for due in dues:
        case = cases[due.what.case_id]
        at = Situation(case, ways[case.in_charge], _beside(orders, due.what.subject), case.id in to_be_stopped)
        after = None if due.id in moot else overdue.follows(due, at, office.deadlines(), now)
        settled.append(Settled(due, case, after))
    return settled


def _beside(orders: Sequence[Order], subject: UUID | None) -> Sequence[Order]:
    """Return the orders on the account of the one that a deadline is about."""
    about = next((one for one in orders if one.id == subject), None)
    return [one for one in orders if about and one.payee_token == about.payee_token]


async def _write(connection: Connection, settled: Sequence[Settled], now: datetime) -> list[Outgoing]:
    """Write down what follows. The stream's lock and then the ledger's are taken last, as everywhere."""
    told = [(one, one.follows) for one in settled if one.follows]
    await clock_store.end(connection, [(one.due.id, "missed" if one.follows else "met") for one in settled])
    await clock_store.start(connection, [after.again for _, after in told if after.again])
    asked = [(after.about, one.case) for one, after in told if after.ask_bank and after.about]
    await pushing.push(connection, asked, again=True)
    await store.tell(connection, [after.entry(one.due, now) for one, after in told])
    rows = await _end_holds(connection, [(one, after.ended) for one, after in told if after.ended])
    if told:
        await alert_store.insert_alerts(connection, [_alert(one, after, now) for one, after in told])
    await _book(connection, [one for one, after in told if after.ended])
    return rows


async def _end_holds(connection: Connection, ended: Sequence[tuple[Settled, Order]]) -> list[Outgoing]:
    """Write that holds have run out, and say how their cases stand."""
    if not ended:
        return []
    await order_store.end_holds(connection, [order for _, order in ended])
    cases = {one.case.id: replace(one.case, version=one.case.version + 1) for one, _ in ended}
    await store.update_cases(connection, list(cases.values()))
    rows = await announce(connection, list(cases.values()))
    await keep(connection, rows)
    return rows


async def _book(connection: Connection, ended: Sequence[Settled]) -> None:
    """Count what is held no longer as released. The cause is the deadline."""
    if not ended:
        return
    causes = {one.case.id: one.due.id for one in ended}
    cases = {one.case.id: one.case for one in ended}
    books = await money_store.books(connection, list(cases.values()), [])
    lines = [
        (next(causes[one] for one in book.members if one in causes), entry)
        for book in books
        for entry in ledger.entries(book)
    ]
    await money_store.book(connection, lines)


def _alert(one: Settled, after: Follows, now: datetime) -> Alert:
    alert_id, order_id = new_id(), after.about.id if after.about else None
    facts = alert.case_facts(alert_id, one.case, after.kind, after.told.unit, after.why, order_id=order_id)
    return Alert(alert_id, one.case.id, None, after.told.unit, after.told.path, facts, now, after.roles)
