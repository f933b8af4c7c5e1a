"""What an order is about: the account, the case's own orders on it, and what its bank is told. Inside a transaction."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notifier.cases import report_store
from services.notifier.cases.case import Case
from services.notifier.cases.requests import Ordering
from services.notifier.money import money_store
from services.notifier.money.transfer import transfers_of
from services.notifier.office import Office
from services.notifier.orders import legality, onward_store, order, order_store, returning
from services.notifier.orders.holds import account_of
from services.notifier.orders.legality import Transfer
from services.notifier.orders.onward import Addressee
from services.notifier.orders.order import FALLEN, Order
from services.notifier.orders.returning import Customer
from services.notifier.people_store import Officer
from shared.errors import FieldProblem, invalid
from shared.events import AccountType, Checked, OrderChanged, OrderKind, VerdictReached
from shared.postgres import Connection
from shared.privacy import Seal


@dataclass(frozen=True, slots=True)
class Subject:
    """What an order is about. `orders` are all ever made on the account, oldest first; `mine` the case's on any.

    `covers` are the reports whose money it may stop, `stoppable_fen` how much that is, `first` the oldest of them; of a
    return, those of the customer who gets the money back, and what is still to be given back to them.
    `held` is the case's hold on the account, `wrong` the failed order to be put right in the facts `corrected`.
    """

    to: Addressee
    orders: Sequence[Order]
    mine: Sequence[Order]
    covers: tuple[UUID, ...]
    stoppable_fen: int
    first: VerdictReached
    held: Order | None
    wrong: Order | None
    corrected: frozenset[Checked]


async def subject_of(connection: Connection, office: Office, about: Case, asked: Ordering, now: datetime) -> Subject:
    """Find what an order is about; lock all orders on the case's accounts. Raises where it names what is not there."""
    further = await _further(connection, office, about, asked)
    known = [about.payee_token, *([further.token] if further else [])]
    if asked.payee_account is not None:
        known.append(office.tokens.of("account", asked.payee_account))
    every = await order_store.orders_about(connection, about.id, known)
    mine = [one for one in every if one.case_id == about.id]
    verdicts = await report_store.sealed_reports(connection, about.id)
    transfers = [one for one in await _transfers(connection, verdicts) if one.amount_fen > one.averted_fen]
    covers = tuple(transfer.report_id for transfer in transfers)
    first = next((verdict for verdict in verdicts if verdict.report.report_id in covers), verdicts[0])
    earlier = None if further else _earlier(asked, mine, about, now)
    before = further or await _as_told(connection, earlier, first, office.identity)
    to = _put_right(before, asked, office) if asked.corrects else before
    on_account = [one for one in every if one.payee_token == to.token]
    subject = Subject(
        to=to,
        orders=on_account,
        mine=mine,
        covers=covers if to.level == 1 else (),
        stoppable_fen=to.amount_fen if to.level > 1 else legality.stop_amount(transfers),
        first=first,
        held=account_of([one for one in on_account if one.case_id == about.id], now).by,
        wrong=earlier if asked.corrects else None,
        corrected=_corrected(asked, before, earlier),
    )
    if asked.kind is not OrderKind.RETURN_FUNDS or subject.held is None:
        return subject
    return _giving_back(subject, returning.customer(asked.report_id, verdicts, transfers), office.identity)


def _giving_back(subject: Subject, customer: Customer, identity: Seal) -> Subject:
    return replace(
        subject,
        to=replace(subject.to, payer=returning.payer_of(customer.first, identity)),
        covers=customer.covers,
        stoppable_fen=max(0, customer.paid_fen - returning.given_back(customer.covers, subject.mine)),
        first=customer.first,
    )


async def _further(connection: Connection, office: Office, about: Case, asked: Ordering) -> Addressee | None:
    if asked.onward_id is None:
        return None
    found = await onward_store.addressee(connection, office.identity, about.id, asked.onward_id)
    if found is None:
        raise _not_here("onward_id", "account")
    return found


def _earlier(asked: Ordering, mine: Sequence[Order], about: Case, now: datetime) -> Order | None:
    """Return the order whose account this one is about: named, put right, or holding the account the customer paid.

    Once a mistake about that account was put right, the corrected order stands for it.
    """
    if asked.corrects is not None:
        return _named(asked.corrects, mine, "corrects")
    if asked.original_application_id is not None and asked.kind is not OrderKind.STOP:
        return _named(asked.original_application_id, mine, "original_application_id")
    live = [one for one in mine if one.account_level == 1 and one.status not in FALLEN]
    if any(one.corrects for one in live):
        return live[-1]
    if asked.kind is OrderKind.STOP:
        return None
    return account_of([one for one in mine if one.payee_token == about.payee_token], now).by


def _named(order_id: UUID, mine: Sequence[Order], field: str) -> Order:
    found = next((one for one in mine if one.id == order_id), None)
    if found is None:
        raise _not_here(field, "order")
    return found


def _not_here(field: str, what: str) -> Exception:
    return invalid(FieldProblem(field=field, message=f"is no {what} of this case"))


async def _as_told(connection: Connection, earlier: Order | None, first: VerdictReached, identity: Seal) -> Addressee:
    """Return the account as the bank was told of it in an earlier order, or as the first report tells of it."""
    if earlier is not None:
        event = await order_store.event_of(connection, earlier.id)
        people = people_of(event, identity)
        told_at, kind, bank, fen = event.transfer_at, event.payee_account_type, event.bank, earlier.amount_fen
        token, level = earlier.payee_token, earlier.account_level
    else:
        report = first.report
        people = json.loads(identity.open(report.identity, str(report.report_id)))
        people["payer"] = returning.payer_of(first, identity)
        told_at, kind, bank, fen = report.observed_at, report.payee_account_type, report.payee_bank, report.amount_fen
        token, level = report.payee_token, 1
    payer, payee = people["payer"], people["payee"]
    return Addressee(
        token=token,
        level=level,
        bank=bank,
        account_type=AccountType(kind),
        name=payee["name"],
        account=payee["account"],
        parent="",
        amount_fen=fen,
        transferred_at=told_at,
        payer={name: payer[name] for name in ("name", "account", "bank_code")},
    )


def people_of(event: OrderChanged, identity: Seal) -> dict[str, Any]:
    """Open what an order's bank is told of people. Raises `SealBrokenError`."""
    people: dict[str, Any] = json.loads(identity.open(event.identity, str(event.order_id)))
    return people


def _put_right(to: Addressee, asked: Ordering, office: Office) -> Addressee:
    account = asked.payee_account or to.account
    return replace(
        to,
        token=office.tokens.of("account", account) if asked.payee_account else to.token,
        account=account,
        name=asked.payee_name or to.name,
        transferred_at=asked.transfer_at or to.transferred_at,
    )


def _corrected(asked: Ordering, before: Addressee, wrong: Order | None) -> frozenset[Checked]:
    """Return the facts that a correction changes."""
    if asked.corrects is None or wrong is None:
        return frozenset()
    facts = {
        Checked.NAME: (asked.payee_name, before.name),
        Checked.ACCOUNT: (asked.payee_account, before.account),
        Checked.AMOUNT: (asked.amount_fen, wrong.amount_fen),
        Checked.TRANSFER_AT: (asked.transfer_at, before.transferred_at),
    }
    return frozenset(fact for fact, (now_said, said) in facts.items() if now_said is not None and now_said != said)


async def _transfers(connection: Connection, verdicts: Sequence[VerdictReached]) -> list[Transfer]:
    reports = [verdict.report for verdict in verdicts]
    averted = await money_store.averted_fen(connection, [report.report_id for report in reports])
    # a transfer that two branches report is stopped once
    once = transfers_of(reports, averted)
    return [Transfer(one.reports[0].report_id, one.amount_fen, one.averted_fen) for one in once]


def event_of(given: Order, subject: Subject, sealed: str, unit: str, about: Case) -> OrderChanged:
    """Return what the bank is told of an order; `sealed` are the people in it."""
    return OrderChanged(
        order_id=given.id,
        version=given.version,
        case_id=given.case_id,
        kind=given.kind,
        status=order.Standing.PENDING.at_the_bank(),
        bank=given.bank,
        amount_fen=given.amount_fen,
        application_type=given.application_type,
        original_application_id=given.original_application_id,
        emergency_level=given.emergency_level,
        payee_account_type=subject.to.account_type,
        transfer_at=subject.to.transferred_at,
        ordered_at=given.ordered_at,
        starts_at=given.ordered_at,
        unit=unit,
        scam_type=about.scam_type,
        account_level=given.account_level,
        acts_on=given.acts_on,
        term_months=given.term_months,
        scope=given.scope,
        includes_proceeds=given.includes_proceeds,
        notice_number=given.notice_number,
        identity=sealed,
    )


def seal_people(given: Order, to: Addressee, by: dict[str, str | None], asked: Ordering, identity: Seal) -> str:
    """Seal what the bank needs to execute the order: who pays whom, who orders, and why."""
    told: dict[str, Any] = {
        "payer": dict(to.payer),
        "payee": {
            "name": to.name,
            "account": to.account,
            "bank_code": to.bank,
            "account_type": to.account_type.value,
        },
        **by,
        "reason": asked.reason,
        "remark": asked.remark,
    }
    return identity.seal(json.dumps(told, ensure_ascii=False), str(given.id))


async def ordered_by(
    connection: Connection, officer: Officer | None, held: Order | None, asked: Ordering, identity: Seal
) -> dict[str, str | None]:
    """Return who orders, as the bank is told; what is freed by itself is freed in the name of who held it."""
    if officer is not None:
        return {"officer": officer.name, "officer_id": str(officer.id), "co_officer": asked.co_officer}
    assert held is not None
    people = people_of(await order_store.event_of(connection, held.id), identity)
    return {name: people.get(name) for name in ("officer", "officer_id", "co_officer")}
