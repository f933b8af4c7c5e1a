"""Orders to banks, as the law allows them: one account, what holds it, and the next lawful step. Pure.

Sources: 银发〔2016〕86号 (stop payment: 48 hours from the moment the bank stopped, at most twice an account; the bank
stops only where name, account, amount and time match); 反电信网络诈骗法 art. 20 (timely release is a duty);
公安机关办理刑事案件程序规定 (freezes: approval at county level, six months, a year in major or complex cases with
approval at city level, renewed before they run out).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.notifier.case import Case
from services.notifier.clock import STOP_LASTS
from services.notifier.law import Rule, broken
from shared.events import (
    CaseStatus,
    Checked,
    Failure,
    FeedbackReceived,
    FeedbackResult,
    Finding,
    OrderKind,
    OrderStatus,
)
from shared.money import LARGEST_AMOUNT_FEN

MOST_STOPS: Final = 2
BACKFILL_WITHIN: Final = timedelta(hours=24)
COUNTY_LEVEL: Final = 2
CITY_LEVEL: Final = 1
ANY_LEVEL: Final = 6
USUAL_TERM_MONTHS: Final = 6
LONGEST_TERM_MONTHS: Final = 12
APPROVERS: Final = ("approver", "supervisor")


class Standing(StrEnum):
    """Where an order stands: before a second officer, at the bank, done by it, not possible for it, or turned down."""

    PROPOSED = "proposed"
    PENDING = "pending"
    EXECUTED = "executed"
    FAILED = "failed"
    REJECTED = "rejected"

    def at_the_bank(self) -> OrderStatus:
        """Return what the bank is told. A proposed or rejected order is not its business: raises `ValueError`."""
        return OrderStatus(self.value)


class ApplicationType(StrEnum):
    """Who moved first, as the national platform numbers it: police, bank, or the bank with paperwork to follow."""

    POLICE_FIRST = "00"
    POLICE_FIRST_MORE = "01"
    BANK_REPORTED = "02"
    BANK_REPORTED_MORE = "03"
    BACKFILLED = "04"
    BACKFILLED_MORE = "05"


class EndedWhy(StrEnum):
    """How a hold ended: freed by an order, run out, or gone over into a further order's."""

    RELEASED = "released"
    EXPIRED = "expired"
    EXTENDED = "extended"
    FROZEN = "frozen"
    RENEWED = "renewed"


class Hold(StrEnum):
    """What holds an account."""

    FREE = "free"
    STOPPED = "stopped"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands. Amounts in fen. `covers` are the reports whose money it is about.

    `acts_on` is the order whose hold it extends, ends, freezes or returns money from; `corrects` a failed one that
    it puts right. `account_level` is 1 for the account the customer paid, more for accounts further on.
    `approval_level` is the level of unit whose officer must approve (1 city, 2 county, 6 any), where one must.
    `unwanted`: everything of its case was released while the bank had yet to answer, so it is released when it does.
    """

    id: UUID
    version: int
    case_id: UUID
    payee_token: str
    kind: OrderKind
    status: Standing
    bank: str
    amount_fen: int
    covers: tuple[UUID, ...]
    original_application_id: UUID | None
    ordered_by: UUID | None
    ordered_at: datetime
    account_level: int = 1
    application_type: str = ApplicationType.BANK_REPORTED.value
    emergency_level: str = "02"
    acts_on: UUID | None = None
    corrects: UUID | None = None
    term_months: int | None = None
    scope: str | None = None
    includes_proceeds: bool | None = None
    notice_number: str | None = None
    unwanted: bool = False
    approval_level: int | None = None
    approved_by: UUID | None = None
    approved_at: datetime | None = None
    bank_stopped_at: datetime | None = None
    feedback_id: UUID | None = None
    balance_before_fen: int | None = None
    stopped_fen: int | None = None
    frozen_fen: int | None = None
    returned_fen: int | None = None
    failure: Failure | None = None
    mismatch: tuple[Checked, ...] = ()
    executed_at: datetime | None = None
    expires_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    ended_why: EndedWhy | None = None

    @property
    def waits(self) -> bool:
        """Whether a second officer or the bank has yet to say something."""
        return self.status in (Standing.PROPOSED, Standing.PENDING)

    def holds(self, now: datetime) -> bool:
        """Whether the bank did it, it holds an account, and nothing ended that since."""
        done = self.kind in HOLDING and self.status is Standing.EXECUTED
        return done and self.ended_at is None and (self.expires_at is None or now < self.expires_at)


STOPPING: Final = (OrderKind.STOP, OrderKind.EXTEND_STOP)
FREEZING: Final = (OrderKind.FREEZE, OrderKind.EXTEND_FREEZE)
ENDING: Final = (OrderKind.RELEASE_STOP, OrderKind.UNFREEZE)
HOLDING: Final = STOPPING + FREEZING
FALLEN: Final = (Standing.FAILED, Standing.REJECTED)
"""Standings of orders that came to nothing."""


@dataclass(frozen=True, slots=True)
class Account:
    """What orders have made of one account. `by` is the order that holds it; `stops` were done or may yet be."""

    hold: Hold
    by: Order | None
    stops: int
    waiting: tuple[Order, ...]


def account_of(orders: Sequence[Order], now: datetime) -> Account:
    """Return how an account stands after all orders ever made on it, oldest first. A freeze outranks a stop."""
    holding = sorted((one for one in orders if one.holds(now)), key=lambda one: one.kind in FREEZING)
    by = holding[-1] if holding else None
    hold = Hold.FREE if by is None else Hold.FROZEN if by.kind in FREEZING else Hold.STOPPED
    stops = sum(1 for one in orders if one.kind in STOPPING and one.status not in FALLEN)
    return Account(hold, by, stops, tuple(one for one in orders if one.waits))


TRANSITIONS: Final[Mapping[tuple[Hold, OrderKind], Hold | Rule]] = {
    (Hold.FREE, OrderKind.STOP): Hold.STOPPED,
    (Hold.FREE, OrderKind.EXTEND_STOP): Rule.EXTEND_A_RUNNING_STOP,
    (Hold.FREE, OrderKind.RELEASE_STOP): Rule.RELEASE_WHAT_IS_HELD,
    (Hold.FREE, OrderKind.FREEZE): Rule.FREEZE_BEFORE_EXPIRY,
    (Hold.FREE, OrderKind.EXTEND_FREEZE): Rule.RENEW_BEFORE_EXPIRY,
    (Hold.FREE, OrderKind.UNFREEZE): Rule.UNFREEZE_WHAT_IS_FROZEN,
    (Hold.FREE, OrderKind.RETURN_FUNDS): Rule.RETURN_WHAT_IS_FROZEN,
    (Hold.STOPPED, OrderKind.STOP): Hold.STOPPED,
    (Hold.STOPPED, OrderKind.EXTEND_STOP): Hold.STOPPED,
    (Hold.STOPPED, OrderKind.RELEASE_STOP): Hold.FREE,
    (Hold.STOPPED, OrderKind.FREEZE): Hold.FROZEN,
    (Hold.STOPPED, OrderKind.EXTEND_FREEZE): Rule.RENEW_BEFORE_EXPIRY,
    (Hold.STOPPED, OrderKind.UNFREEZE): Rule.UNFREEZE_WHAT_IS_FROZEN,
    (Hold.STOPPED, OrderKind.RETURN_FUNDS): Rule.RETURN_WHAT_IS_FROZEN,
    (Hold.FROZEN, OrderKind.STOP): Rule.FROZEN_ALREADY,
    (Hold.FROZEN, OrderKind.EXTEND_STOP): Rule.FROZEN_ALREADY,
    (Hold.FROZEN, OrderKind.RELEASE_STOP): Rule.UNFREEZE_INSTEAD,
    (Hold.FROZEN, OrderKind.FREEZE): Rule.FROZEN_ALREADY,
    (Hold.FROZEN, OrderKind.EXTEND_FREEZE): Hold.FROZEN,
    (Hold.FROZEN, OrderKind.UNFREEZE): Hold.FREE,
    (Hold.FROZEN, OrderKind.RETURN_FUNDS): Hold.FROZEN,
}
"""What each kind of order makes of an account, or the rule it would break. The documentation's table is made of it."""


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


def left_to_return(account: Account, orders: Sequence[Order]) -> int:
    """Return what a freeze still holds, in fen: never more was returned, or is being, than any of its orders froze.

    A bank may answer a renewal with what is left or with what was frozen at first; so each link of the chain counts
    the returns since.
    """
    if account.by is None or account.hold is not Hold.FROZEN:
        return 0
    returned: Counter[UUID] = Counter()
    for one in orders:
        if one.kind is OrderKind.RETURN_FUNDS and one.acts_on and one.status not in FALLEN:
            returned[one.acts_on] += one.amount_fen if one.returned_fen is None else one.returned_fen
    left, gone = LARGEST_AMOUNT_FEN, 0
    for link in freeze_chain(account.by, orders):
        gone += returned[link.id]
        left = min(left, (link.frozen_fen or 0) - gone)
    return max(0, left)


def freeze_chain(order: Order, orders: Sequence[Order]) -> list[Order]:
    """Return a freeze and the freezes it renews, the newest first: one hold under several orders."""
    by_id = {one.id: one for one in orders}
    chain = [order]
    while order.acts_on in by_id and by_id[order.acts_on].kind in FREEZING:
        order = by_id[order.acts_on]
        chain.append(order)
    return chain


def _refuse_uncorrected(asked: Asked, case: Case, orders: Sequence[Order]) -> None:
    """A bank that found a mismatch must not stop; the same again is no correction. Freeing may be repeated."""
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
    if mine and mine[-1].status is Standing.FAILED and mine[-1].failure is Failure.MISMATCH:
        raise broken(Rule.CORRECT_THE_MISMATCH, existing_id=str(mine[-1].id))


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


def stop_amount(transfers: Sequence["Transfer"]) -> int:
    """Return the amount a stop is for unless the officer names one: what was not averted at the counter."""
    return min(LARGEST_AMOUNT_FEN, sum(transfer.amount_fen - transfer.averted_fen for transfer in transfers))


@dataclass(frozen=True, slots=True)
class Transfer:
    """A report of the case, as far as an order is about it. Amounts in fen."""

    report_id: UUID
    amount_fen: int
    averted_fen: int


def answered(order: Order, feedback: FeedbackReceived) -> Order:
    """Apply the bank's feedback. A hold runs from the moment the bank executed it, to the law's end or the bank's."""
    done = feedback.result is FeedbackResult.SUCCESS
    return replace(
        order,
        version=order.version + 1,
        status=Standing.EXECUTED if done else Standing.FAILED,
        feedback_id=feedback.feedback_id,
        balance_before_fen=feedback.balance_before_fen,
        stopped_fen=feedback.stopped_fen,
        frozen_fen=feedback.frozen_fen,
        returned_fen=feedback.returned_fen,
        failure=None if done else feedback.failure or Failure.TECHNICAL,
        mismatch=feedback.mismatch,
        executed_at=feedback.executed_at,
        expires_at=_expiry(order, feedback) if done else None,
        answered_at=feedback.received_at,
    )


def _expiry(order: Order, feedback: FeedbackReceived) -> datetime | None:
    """A back-filled stop runs from the moment the bank stopped, even if it names the moment of the paperwork."""
    if feedback.executed_at is None or order.kind not in HOLDING:
        return None
    if order.kind in STOPPING:
        lawful = min(feedback.executed_at, order.bank_stopped_at or feedback.executed_at) + STOP_LASTS
    else:
        lawful = months_later(feedback.executed_at, order.term_months or USUAL_TERM_MONTHS)
    return min(lawful, feedback.expires_at) if feedback.expires_at else lawful


def months_later(at: datetime, months: int) -> datetime:
    """Return the same day so many months later, or the last day of that month."""
    year, month = divmod(at.month - 1 + months, 12)
    for day in range(at.day, 27, -1):
        try:
            return at.replace(year=at.year + year, month=month + 1, day=day)
        except ValueError:
            continue
    return at.replace(year=at.year + year, month=month + 1)


WHY_ENDED: Final[Mapping[OrderKind, EndedWhy]] = {
    OrderKind.EXTEND_STOP: EndedWhy.EXTENDED,
    OrderKind.FREEZE: EndedWhy.FROZEN,
    OrderKind.EXTEND_FREEZE: EndedWhy.RENEWED,
    OrderKind.RELEASE_STOP: EndedWhy.RELEASED,
    OrderKind.UNFREEZE: EndedWhy.RELEASED,
}


def ended_by(done: Order, orders: Sequence[Order]) -> list[Order]:
    """Return the holds of its case on the account that an executed order ends or takes over, ended."""
    why = WHY_ENDED.get(done.kind)
    if why is None or done.status is not Standing.EXECUTED or done.executed_at is None:
        return []
    over = HOLDING if done.kind in (OrderKind.EXTEND_FREEZE, OrderKind.UNFREEZE) else STOPPING
    return [
        replace(one, ended_at=done.executed_at, ended_why=why)
        for one in orders
        if one.id != done.id
        and one.case_id == done.case_id
        and one.payee_token == done.payee_token
        and one.kind in over
        and one.holds(done.executed_at)
    ]


def expired(order: Order) -> Order:
    """Return a hold that has run out: the bank frees the account by itself."""
    return replace(order, ended_at=order.expires_at, ended_why=EndedWhy.EXPIRED)
