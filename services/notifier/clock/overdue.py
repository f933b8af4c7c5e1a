"""What follows when a deadline has come: who is told what, until when they have, which hold has run out. Pure.

Whoever is told, the unit in charge stays in charge. Nothing ends in silence: at the top of the ladder the last rung
is told again, after ever longer waits, until what was due is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID

from services.notifier.cases.case import MACHINE, Case, Entry
from services.notifier.cases.timeline import KINDS as ORDER_KINDS
from services.notifier.clock.clock import BEIJING, Deadline, Deadlines, Due, Stage, Urgency, wait_after
from services.notifier.orders.effect import expired
from services.notifier.orders.holds import account_of
from services.notifier.orders.legality import APPROVERS, MOST_STOPS
from services.notifier.orders.order import ANY_LEVEL, STOPPING, Order, Standing
from shared.events import CaseStatus

SUPERVISORS: Final = ("supervisor",)
HOUR_SECONDS: Final = 3600
MINUTE_SECONDS: Final = 60
SHORT_SECONDS: Final = 45 * MINUTE_SECONDS
"""Less than this is said in minutes."""

KINDS: Final[Mapping[Stage, str]] = {
    Stage.ACKNOWLEDGE: "escalated",
    Stage.ORDER: "order_overdue",
    Stage.APPROVE: "approval_overdue",
    Stage.FEEDBACK: "feedback_overdue",
    Stage.RELEASE: "release_overdue",
    Stage.OBJECTION: "objection_overdue",
    Stage.WARNING: "expiring",
    Stage.EXPIRY: "expired",
}
"""What an alert and a line of the timeline are called."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A unit on the way up, and the roles its officers have."""

    unit: str
    name: str
    path: str
    level: int
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Situation:
    """What matters when a deadline has come, all of it locked.

    `way` goes from the unit in charge to the top. `orders` are all on the account of the order that the deadline is
    about, oldest first; `to_be_stopped` says whether there is money that nobody has ordered to be stopped.
    """

    case: Case
    way: Sequence[Rung]
    orders: Sequence[Order] = ()
    to_be_stopped: bool = True

    def about(self, due: Due) -> Order | None:
        """Return the order that a deadline is about."""
        return next((one for one in self.orders if one.id == due.what.subject), None)


@dataclass(frozen=True, slots=True)
class Follows:
    """What follows: a unit (of it, `roles` where there are any) is told `why`, in Chinese.

    `again` is when to look again, `ended` the hold that has run out, `ask_bank` whether the bank is asked again.
    """

    kind: str
    told: Rung
    roles: tuple[str, ...]
    why: str
    about: Order | None = None
    again: Deadline | None = None
    ended: Order | None = None
    ask_bank: bool = False

    def entry(self, due: Due, now: datetime) -> Entry:
        """Return the line of the timeline."""
        return Entry(due.what.case_id, now, self.kind, MACHINE, self.why, told_by=due.id)


def overtaken(dues: Sequence[Due]) -> set[UUID]:
    """Return the warnings that came together with a later one of the same hold: that one says it all."""
    latest: dict[UUID | None, Due] = {}
    warnings = [due for due in dues if due.what.stage is Stage.WARNING]
    for due in sorted(warnings, key=lambda one: one.what.step, reverse=True):
        latest[due.what.subject] = due
    return {due.id for due in warnings} - {due.id for due in latest.values()}


def follows(due: Due, at: Situation, deadlines: Deadlines, now: datetime) -> Follows | None:
    """Return what follows; nothing where what was due is done, or has lost its point."""
    order = at.about(due)
    if not _still_due(due.what.stage, at, order, now):
        return None
    if order and due.what.stage is Stage.WARNING:
        return _expiring(at, order, now)
    if order and due.what.stage is Stage.EXPIRY:
        return _expired(at, order)
    return _overdue(due.what, at, order, deadlines, now)


def _still_due(stage: Stage, at: Situation, order: Order | None, now: datetime) -> bool:
    match stage:
        case Stage.ACKNOWLEDGE:
            still = at.case.status is CaseStatus.OPEN
        case Stage.ORDER:
            still = at.case.status is CaseStatus.ACKNOWLEDGED and at.to_be_stopped
        case Stage.APPROVE:
            still = order is not None and order.status is Standing.PROPOSED
        case Stage.FEEDBACK:
            still = order is not None and order.status is Standing.PENDING
        case Stage.RELEASE:
            still = order is not None and _held(at, order, now)
        case Stage.OBJECTION:
            still = True
        case Stage.WARNING:
            still = order is not None and order.holds(now)
        case Stage.EXPIRY:
            still = order is not None and order.status is Standing.EXECUTED and order.ended_at is None
        case _:
            assert_never(stage)
    return still


def _held(at: Situation, release: Order, now: datetime) -> bool:
    """Whether the account is still held, whatever became of its release: the duty is to free it, not to ask for it."""
    mine = [one for one in at.orders if one.case_id == release.case_id]
    return release.waits or account_of(mine, now).by is not None


def ladder(stage: Stage, way: Sequence[Rung], order: Order | None) -> list[Rung]:
    """Return whom to tell at each step of a stage; there is always somebody."""
    if stage is Stage.ACKNOWLEDGE:
        return list(way[1:] or way)
    if stage is Stage.APPROVE:
        level = (order and order.approval_level) or ANY_LEVEL
        asked = next((number for number, rung in enumerate(way) if rung.level <= level), len(way) - 1)
        return [rung for rung in way[asked + 1 :] if rung.roles.intersection(APPROVERS)] or [way[asked]]
    return [rung for rung in way if rung.roles.intersection(SUPERVISORS)][:2] or [way[-1]]


ROLES: Final[Mapping[Stage, tuple[str, ...]]] = {
    Stage.ACKNOWLEDGE: (),
    Stage.ORDER: SUPERVISORS,
    Stage.APPROVE: APPROVERS,
    Stage.FEEDBACK: SUPERVISORS,
    Stage.RELEASE: SUPERVISORS,
    Stage.OBJECTION: SUPERVISORS,
}
ROLE_WORDS: Final = {(): "", SUPERVISORS: "主管", APPROVERS: "审批人"}


def _overdue(what: Deadline, at: Situation, order: Order | None, deadlines: Deadlines, now: datetime) -> Follows:
    """Tell the next rung of the stage's ladder, or the last one again."""
    rungs = ladder(what.stage, at.way, order)
    told = rungs[min(what.step, len(rungs) - 1)]
    wanted = ROLES[what.stage]
    roles = wanted if told.roles.intersection(wanted) else ()  # nobody has the role: then whoever is there
    urgency = Urgency(order.emergency_level) if order else at.case.urgency
    span = deadlines.span(at.case.in_charge, urgency, what.stage)
    wait = wait_after(span, max(0, what.step + 2 - len(rungs)))
    return Follows(
        KINDS[what.stage],
        told,
        roles,
        _why(what, at, order, f"{told.name}{ROLE_WORDS[roles]}", repeated=what.step >= len(rungs)),
        order,
        again=Deadline(what.case_id, what.stage, now + wait, what.subject, what.step + 1),
        ask_bank=order is not None and order.status is Standing.PENDING,
    )


def _why(what: Deadline, at: Situation, order: Order | None, who: str, *, repeated: bool) -> str:
    name, bank = (ORDER_KINDS[order.kind], order.bank) if order else ("", "")
    if what.stage is Stage.ACKNOWLEDGE:
        told = f"仍未签收，再次预警：{who}" if repeated else f"逾期未签收，已升级预警：{who}"
        return f"{told}；在有人接手前仍由{at.way[0].name}负责"
    asked = order is not None and order.status is Standing.PENDING
    freed = "已再次通知银行" if asked else "银行未能执行，账户仍被控制，须重新下达解除指令"
    late = {
        Stage.ORDER: "签收后逾期未下达紧急止付指令",
        Stage.APPROVE: f"{name}指令逾期未审批",
        Stage.FEEDBACK: f"{bank} 逾期未反馈{name}指令，已再次通知银行",
        Stage.RELEASE: f"{bank} 逾期未{name}，{freed}",
        Stage.OBJECTION: "账户持有人异议逾期未答复",
    }
    return f"{late[what.stage]}，{'再次提醒' if repeated else '已提醒'}{who}"


def _expiring(at: Situation, hold: Order, now: datetime) -> Follows:
    """Say how long is left and what can be done: that is for the officers to decide."""
    assert hold.expires_at is not None
    if hold.kind not in STOPPING:
        name, may = "冻结", "如需继续，请在到期前续冻"
    elif account_of(at.orders, now).stops < MOST_STOPS:
        name, may = "止付", "可延长止付一次，或在到期前冻结"
    else:
        name, may = "止付", "该账户已止付两次，不得再延长，可在到期前冻结"
    ends = f"{hold.expires_at.astimezone(BEIJING):%m-%d %H:%M}"
    left = _in_words((hold.expires_at - now).total_seconds())
    why = f"{hold.bank} 的{name}将于 {ends} 到期，剩余约 {left}：{may}；不处理则到期自动解除"
    return Follows(KINDS[Stage.WARNING], at.way[0], (), why, hold)


def _in_words(seconds: float) -> str:
    if seconds > SHORT_SECONDS:
        return f"{seconds / HOUR_SECONDS:.0f} 小时"
    return f"{max(seconds, 0) / MINUTE_SECONDS:.0f} 分钟"


def _expired(at: Situation, hold: Order) -> Follows:
    """The hold ends by itself: the law says so, and the bank frees the account without an order."""
    what = "止付期满，未冻结" if hold.kind in STOPPING else "冻结期满，未续冻"
    return Follows(KINDS[Stage.EXPIRY], at.way[0], (), f"{hold.bank} 的{what}，已自动解除", hold, ended=expired(hold))
