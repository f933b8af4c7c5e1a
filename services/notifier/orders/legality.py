"""Whether an order is lawful, and who must approve it. Pure.

Sources: 银发〔2016〕86号 (stop payment: 48 hours from the moment the bank stopped, at most twice an account; the bank
stops only where name, account, amount and time match); 反电信网络诈骗法 art. 20 (timely release is a duty);
公安机关办理刑事案件程序规定 (freezes: approval at county level, six months, a year in major or complex cases with
approval at city level, renewed before they run out).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.notifier.cases.case import Case
from services.notifier.orders.holds import TRANSITIONS, Account, Hold, account_of, left_to_return
from services.notifier.orders.law import Rule, broken
from services.notifier.orders.order import ANY_LEVEL, ENDING, FREEZING, STOPPING, USUAL_TERM_MONTHS, Order, Standing
from shared.events import (
    CaseStatus,
    Checked,
    Failure,
    Finding,
    OrderKind,
)
from shared.money import LARGEST_AMOUNT_FEN

MOST_STOPS: Final = 2


BACKFILL_WITHIN: Final = timedelta(hours=24)


COUNTY_LEVEL: Final = 2


CITY_LEVEL: Final = 1


LONGEST_TERM_MONTHS: Final = 12


APPROVERS: Final = ("approver", "supervisor")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an officer asks for, as far as the law looks at it. Amounts in fen."""

    kind: OrderKind
    amount_fen: int
    term_months: int | None = None
    major: bool = False
    notice_number: str | None = None
    bank_stopped_at: datetime | None = None
    corrects: Order | None = None
    corrected: frozenset[Checked] = frozenset()


def refuse_unlawful(asked: Asked, case: Case, orders: Sequence[Order], now: datetime) -> Account:
    """Raise where the order would break a rule; return what this case's own orders hold.

    `orders` are all ever made on the account, oldest first: stops count whichever case they were for, while a case
    extends, freezes and frees only what it holds itself.
    """
    account = account_of(orders, now)
    mine = account_of([one for one in orders if one.case_id == case.id], now)
    _refuse_for_case(asked.kind, case, mine)
    _refuse_for_what_waits(asked.kind, account, mine)
    _refuse_for_another_case(asked.kind, account, mine)
    after = TRANSITIONS[(account if asked.kind is OrderKind.STOP else mine).hold, asked.kind]
    if isinstance(after, Rule):
        raise broken(after)
    if asked.kind in STOPPING and account.stops >= MOST_STOPS:
        raise broken(Rule.TWICE)
    if asked.kind in FREEZING:
        _refuse_term(asked)
    if asked.bank_stopped_at is not None and now - asked.bank_stopped_at > BACKFILL_WITHIN:
        raise broken(Rule.BACKFILL_IN_TIME)
    if asked.kind is OrderKind.RETURN_FUNDS and asked.amount_fen > left_to_return(mine, orders):
        raise broken(Rule.RETURN_WHAT_IS_FROZEN)
    _refuse_uncorrected(asked, case, orders)
    return mine


def _refuse_for_case(kind: OrderKind, case: Case, account: Account) -> None:
    closed = case.status is CaseStatus.CLOSED
    if kind in STOPPING and closed:
        raise broken(Rule.CASE_IS_OPEN)
    if kind in FREEZING and closed and case.finding is Finding.UNFOUNDED:
        raise broken(Rule.UNFOUNDED_HOLDS_NOTHING)
    if kind is OrderKind.RETURN_FUNDS and case.finding is not Finding.CONFIRMED and account.hold is Hold.FROZEN:
        raise broken(Rule.RETURN_AFTER_CONFIRMED)


def _refuse_for_what_waits(kind: OrderKind, account: Account, mine: Account) -> None:
    """An account takes one order of a kind at a time; but each case frees what it holds whatever others do."""
    for one in (mine if kind in ENDING else account).waiting:
        if one.kind is kind:
            raise broken(Rule.ONE_AT_A_TIME, existing_id=str(one.id))
    for one in mine.waiting:
        if one.kind in ENDING and kind not in ENDING:
            raise broken(Rule.BEING_RELEASED, existing_id=str(one.id))


def _refuse_for_another_case(kind: OrderKind, account: Account, mine: Account) -> None:
    """What another case holds is that case's to extend, freeze and free; and an account is frozen once."""
    if kind is OrderKind.STOP or account.by is None:
        return
    frozen_elsewhere = account.hold is Hold.FROZEN and mine.hold is not Hold.FROZEN
    if mine.by is None or (kind is OrderKind.FREEZE and frozen_elsewhere):
        raise broken(Rule.HELD_BY_ANOTHER_CASE, existing_id=str(account.by.case_id))


def _refuse_term(asked: Asked) -> None:
    months = asked.term_months or USUAL_TERM_MONTHS
    if months > LONGEST_TERM_MONTHS or (months > USUAL_TERM_MONTHS and not asked.major):
        raise broken(Rule.TERM)
    if not asked.notice_number:
        raise broken(Rule.NOTICE)


def _refuse_uncorrected(asked: Asked, case: Case, orders: Sequence[Order]) -> None:
    """A bank that found a mismatch must not stop; the same again is no correction. Freeing may be repeated.

    A correction that came to nothing is corrected in turn, or what was wrong at first would be asked again.
    """
    wrong = asked.corrects
    if wrong is not None:
        if wrong.case_id != case.id or wrong.status is not Standing.FAILED or wrong.kind is not asked.kind:
            raise broken(Rule.CORRECT_WHAT_FAILED)
        if not set(wrong.mismatch) <= asked.corrected:
            raise broken(Rule.CORRECT_THE_MISMATCH, existing_id=str(wrong.id))
        return
    if asked.kind in ENDING:
        return
    mine = [one for one in orders if one.kind is asked.kind and one.case_id == case.id]
    last = next((one for one in reversed(mine) if one.status is not Standing.REJECTED), None)
    if last and last.status is Standing.FAILED and (last.failure is Failure.MISMATCH or last.corrects):
        raise broken(Rule.CORRECT_THE_MISMATCH, existing_id=str(last.id))


def approval_level(asked: Asked, second_officer_above_fen: int) -> int | None:
    """Return the level of unit whose officer must approve: none for what frees, more than one for what holds long."""
    match asked.kind:
        case OrderKind.RELEASE_STOP | OrderKind.UNFREEZE:
            return None
        case OrderKind.FREEZE | OrderKind.EXTEND_FREEZE:
            long = (asked.term_months or USUAL_TERM_MONTHS) > USUAL_TERM_MONTHS
            return CITY_LEVEL if long else COUNTY_LEVEL
        case OrderKind.RETURN_FUNDS:
            return COUNTY_LEVEL
        case _:
            return ANY_LEVEL if asked.amount_fen > second_officer_above_fen else None


def approved(order: Order, officer: UUID, role: str, unit_level: int, now: datetime) -> Order:
    """Return the order with a second officer's approval. Raises where the order's own officer or too low a level."""
    if order.status is not Standing.PROPOSED:
        raise broken(Rule.APPROVE_WHAT_IS_PROPOSED)
    if order.ordered_by == officer:
        raise broken(Rule.OWN_APPROVAL)
    _refuse_too_low(order, role, unit_level)
    return replace(order, version=order.version + 1, status=Standing.PENDING, approved_by=officer, approved_at=now)


def rejected(order: Order, officer: UUID | None, role: str, unit_level: int) -> Order:
    """Return the order turned down: by who could approve it, or taken back by its own officer."""
    if order.status is not Standing.PROPOSED:
        raise broken(Rule.APPROVE_WHAT_IS_PROPOSED)
    if order.ordered_by != officer:
        _refuse_too_low(order, role, unit_level)
    return turned_down(order)


def turned_down(order: Order) -> Order:
    """Return a proposal that comes to nothing."""
    return replace(order, version=order.version + 1, status=Standing.REJECTED)


def _refuse_too_low(order: Order, role: str, unit_level: int) -> None:
    if role not in APPROVERS or unit_level > (order.approval_level or ANY_LEVEL):
        raise broken(Rule.APPROVAL_LEVEL)


def asked_again(order: Order, orders: Sequence[Order]) -> Asked:
    """Return what a proposal asks for, to be held against the law once more when it is approved."""
    return Asked(
        kind=order.kind,
        amount_fen=order.amount_fen,
        term_months=order.term_months,
        major=True,
        notice_number=order.notice_number,
        bank_stopped_at=order.bank_stopped_at,
        corrects=next((one for one in orders if one.id == order.corrects), None),
        corrected=frozenset(Checked),
    )


@dataclass(frozen=True, slots=True)
class Transfer:
    """A report of the case, as far as an order is about it. Amounts in fen."""

    report_id: UUID
    amount_fen: int
    averted_fen: int


def stop_amount(transfers: Sequence["Transfer"]) -> int:
    """Return the amount a stop is for unless the officer names one: what was not averted at the counter."""
    return min(LARGEST_AMOUNT_FEN, sum(transfer.amount_fen - transfer.averted_fen for transfer in transfers))
