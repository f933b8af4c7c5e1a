"""Random lives of cases: what customers, tellers, officers and banks do to one account and those its money moves to.

Each life goes through the real handlers and keeps, coin by coin, its own account of what became of the money.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from services.notifier.cases import casework, decisions
from services.notifier.cases.casework_requests import Splitting
from services.notifier.cases.requests import Closing, Ordering
from services.notifier.cases.verdicts import take_verdicts
from services.notifier.money import handlers
from services.notifier.money.transfer import ReportFacts
from services.notifier.office import Office
from services.notifier.orders import answering, approving, ordering
from services.notifier.orders.order import ENDING, FREEZING, Order, Standing
from services.notifier.people_store import Officer
from shared.errors import Refusal
from shared.events import (
    DispositionOutcome,
    DispositionRecorded,
    FeedbackReceived,
    FeedbackResult,
    Finding,
    Level,
    OrderChanged,
    OrderKind,
    OrderStatus,
    VerdictReached,
)
from shared.outbox import Outgoing, new_id
from tests.bench.bank_words import a_contradiction, an_answer
from tests.bench.coins import Coins, Known
from tests.parts import IDENTITY
from tests.service.notifier.builders import a_verdict, an_account, judged_again, said
from tests.unit.notifier.coins import Model

BRANCHES = ("ICBC-SZ-LH-001", "ICBC-SZ-LH-002", "CMB-SZ-LH-002")

NEXT = {
    False: [OrderKind.FREEZE] * 4 + [OrderKind.EXTEND_STOP, OrderKind.RELEASE_STOP, OrderKind.STOP],
    True: [OrderKind.RETURN_FUNDS] * 9 + [OrderKind.EXTEND_FREEZE, OrderKind.EXTEND_FREEZE, OrderKind.UNFREEZE],
}
"""What mostly follows on a stop, and on a freeze."""


@dataclass
class Life:
    """One account's story: its reports, its cases one after the other, its orders."""

    office: Office
    officers: Sequence[Officer]
    chance: random.Random
    events: Counter[str]
    account: str = field(default_factory=an_account)
    coins: Coins = field(default_factory=Coins)
    verdicts: dict[UUID, VerdictReached] = field(default_factory=dict)
    case_of: dict[UUID, UUID] = field(default_factory=dict)
    ended: dict[UUID, DispositionRecorded] = field(default_factory=dict)
    waiting: list[OrderChanged] = field(default_factory=list)
    proposed: list[UUID] = field(default_factory=list)
    mismatched: list[UUID] = field(default_factory=list)
    before: list[Callable[[datetime], Awaitable[object]]] = field(default_factory=list)
    numbers: int = 0

    async def steps(self, now: datetime) -> None:
        """Do a few things; banks and second officers are quicker than the clock, mostly."""
        for _ in range(self.chance.randint(1, 2)):
            await self._step(now)
        while (self.proposed or self.waiting) and self.chance.random() < 0.6:
            await self._step(now)

    async def _step(self, now: datetime) -> None:
        """Do one thing, or hear again what was heard before, or both at once."""
        steps = [self._report, self._visit_ends, self._close, self._reopen, self._split, self._judge_again]
        if self.proposed or self.waiting:
            steps = [self._order, self._approve, self._bank_answers, self._bank_answers, self.chance.choice(steps)]
        elif self.coins.frozen(now):
            steps = [self._order, self._close]
        elif self.chance.random() < 0.6:
            steps = [self._order]
        step = self.chance.choice(steps) if self.coins.root_of else self._report
        self.coins.run_out(now)
        if self.before and self.chance.random() < 0.3:
            again = self.chance.choice(self.before)
            self.events["again"] += 1
            await asyncio.gather(step(now), again(now))
        else:
            await step(now)

    async def _report(self, now: datetime) -> None:
        """A branch reports a transfer, now and then two branches the same; a few are no alert at first."""
        level = Level.ALERT if self.chance.random() < 0.8 else Level.CAUTION
        amount, branch = self.chance.randint(1, 60), self.chance.choice(BRANCHES)
        verdict = a_verdict(self.account, branch, amount, level, now)
        payer = f"payer {self.chance.getrandbits(64):x}"
        verdict = verdict.model_copy(update={"report": verdict.report.model_copy(update={"payer_token": payer})})
        group = [verdict]
        if level is Level.ALERT and self.chance.random() < 0.2:
            other = a_verdict(self.account, self.chance.choice([one for one in BRANCHES if one != branch]), amount)
            seen = {"payer_token": payer, "observed_at": now + timedelta(minutes=self.chance.randint(0, 9))}
            group.append(other.model_copy(update={"report": other.report.model_copy(update=seen)}))
        self.numbers += 1
        early = [one for one in group if self.chance.random() < 0.3]
        for one in early:
            await self._end(one, now)
        if self.chance.random() < 0.5:
            await self._judge(group, now)
        else:
            for one in reversed(group):
                await self._judge([one], now)

    async def _judge(self, group: Sequence[VerdictReached], now: datetime) -> None:
        async def hear(at: datetime) -> None:
            await take_verdicts(self.office.pool, IDENTITY, self.office.deadlines(), group, at)

        self.events["verdict"] += len(group)
        taken = await take_verdicts(self.office.pool, IDENTITY, self.office.deadlines(), group, now)
        self.before.append(hear)
        placed = {one.verdict.report.report_id: one.case_id for one in taken.placed}
        for verdict in group:
            report_id = verdict.report.report_id
            self.verdicts[report_id] = verdict
            known = self.coins.books.pop(report_id, None)
            case_id = placed.get(report_id)
            if case_id:
                self.case_of[report_id] = case_id
                self.coins.root_of.setdefault(case_id, case_id)
            book = self.coins.books.setdefault(self.coins.root_of[case_id] if case_id else report_id, known or Model())
            book.number_of[report_id] = self.numbers if known is None else known.number_of[report_id]
            book.reports[report_id] = self._facts(verdict)

    def _facts(self, verdict: VerdictReached) -> ReportFacts:
        report, end = verdict.report, self.ended.get(verdict.report.report_id)
        outcome, fen = (end.outcome, end.amount_fen) if end else (None, 0)
        return ReportFacts(report.report_id, report.bank, "", report.amount_fen, outcome, fen)

    async def _judge_again(self, now: datetime) -> None:
        for report_id in [one for one in self.verdicts if one not in self.case_of][:1]:
            await self._judge([judged_again(self.verdicts[report_id])], now)

    async def _visit_ends(self, now: datetime) -> None:
        for report_id in [one for one in self.verdicts if one not in self.ended][:1]:
            await self._end(self.verdicts[report_id], now)

    async def _end(self, verdict: VerdictReached, now: datetime) -> None:
        report = verdict.report
        event = DispositionRecorded(
            disposition_id=new_id(),
            report_id=report.report_id,
            payee_token=report.payee_token,
            outcome=self.chance.choice(list(DispositionOutcome)),
            amount_fen=self.chance.choice((report.amount_fen, self.chance.randint(0, report.amount_fen))),
            recorded_at=now,
        )

        async def hear(at: datetime) -> None:
            await handlers.count_dispositions(self.office.pool, [event], at)

        self.events["disposition"] += 1
        await hear(now)
        self.before.append(hear)
        self.ended[report.report_id] = event
        for book in self.coins.books.values():
            if report.report_id in book.reports:
                book.reports[report.report_id] = self._facts(verdict)

    async def _order(self, now: datetime) -> None:
        """An officer orders something, lawful or not, about the payee's account or one further on."""
        if not self.coins.root_of:
            return
        frozen = self.coins.frozen(now)
        case_id = frozen[0].case_id if frozen else self.chance.choice(list(self.coins.root_of))
        kind, about = await self._what_next(case_id, now)
        usual = {"amount_fen": None if kind in ENDING else self.chance.randint(1, 150)}
        notice = "深公冻字1号" if kind in FREEZING else None
        asked = Ordering(kind=kind, reason="核实", notice_number=notice, **{**usual, **about})  # type: ignore[arg-type]
        officer = self.officers[0]
        try:
            given, rows = await ordering.give_order(self.office, officer, case_id, asked, now)
        except Refusal:
            self.events["refused"] += 1
            return
        self.events["order"] += 1
        self._remember(given)
        self._post(rows)
        if given.status is Standing.PROPOSED:
            self.proposed.append(given.id)

    async def _what_next(self, case_id: UUID, now: datetime) -> tuple[OrderKind, dict[str, object]]:
        """Choose what to order, and about which account; mostly something that the law allows."""
        held = [one for one in self.coins.orders.values() if one.case_id == case_id and one.live(now)]
        if held and self.chance.random() < 0.7:
            hold = self.chance.choice([one for one in held if one.kind in FREEZING] or held)
            kind = self.chance.choice(NEXT[hold.kind in FREEZING])
            most = {"amount_fen": self.chance.randint(1, max(1, hold.holds_fen))} if self.chance.random() < 0.8 else {}
            return kind, {"original_application_id": hold.id, **({} if kind in ENDING else most)}
        kind = self.chance.choice((*[OrderKind.STOP] * 12, *OrderKind))
        further = await self.office.pool.fetch("select id from onward_account where case_id = $1 order by id", case_id)
        if kind is OrderKind.STOP and further and self.chance.random() < 0.6:
            return kind, {"onward_id": self.chance.choice(further)["id"]}
        failed = [self.coins.orders[one] for one in self.mismatched]
        wrong = [one.id for one in failed if one.case_id == case_id and one.kind is kind]
        if wrong and self.chance.random() < 0.8:
            return kind, {"corrects": wrong[-1], "payee_name": f"蒙{self.chance.choice('一二三四五六七')}"}
        return kind, {}

    def _remember(self, given: Order) -> None:
        self.coins.orders[given.id] = Known(
            given.id,
            given.kind,
            given.case_id,
            given.payee_token,
            given.amount_fen,
            given.account_level,
            given.covers,
            given.acts_on,
        )

    def _post(self, rows: Sequence[Outgoing]) -> None:
        """Bring to the bank what is new to it; what the machine orders by itself ends what another order holds."""
        for event in said(rows, OrderChanged):
            if event.status is not OrderStatus.PENDING or any(one.order_id == event.order_id for one in self.waiting):
                continue
            if event.order_id not in self.coins.orders:
                assert event.acts_on
                account = self.coins.orders[event.acts_on].account
                known = Known(event.order_id, event.kind, event.case_id, account, event.amount_fen, event.account_level)
                self.coins.orders[event.order_id] = replace(known, acts_on=event.acts_on)
            if self.coins.orders[event.order_id].executed_at is None:
                self.waiting.append(event)

    async def _approve(self, now: datetime) -> None:
        if not self.proposed:
            return
        order_id = self.proposed.pop(0)
        try:
            if self.chance.random() < 0.15:
                await approving.reject(self.office, self.officers[1], order_id, "依据不足", now)
            else:
                _, rows = await approving.approve(self.office, self.officers[1], order_id, now)
                self._post(rows)
            self.events["approval"] += 1
        except Refusal:
            self.events["refused"] += 1

    async def _bank_answers(self, now: datetime) -> None:
        """A bank answers one of its orders: in any order, all of it, some of it, or not."""
        if not self.waiting:
            return
        event = self.waiting.pop(self.chance.randrange(len(self.waiting)))
        known = self.coins.orders[event.order_id]
        feedback = an_answer(self.chance, event, known, now)

        async def hear(at: datetime) -> None:
            await answering.take_feedback(self.office, feedback, at)

        self.events["feedback"] += 1
        if feedback.result is FeedbackResult.SUCCESS:
            self.coins.done(known, feedback)
        elif feedback.mismatch:
            self.mismatched.append(known.id)
        _, rows = await answering.take_feedback(self.office, feedback, now)
        self.before.append(hear)
        self.before.append(self._contradiction(feedback))
        self._post(rows)

    def _contradiction(self, feedback: FeedbackReceived) -> Callable[[datetime], Awaitable[object]]:
        event = a_contradiction(feedback)
        return lambda at: answering.note_contradiction(self.office.pool, event, at)

    async def _close(self, now: datetime) -> None:
        frozen = self.coins.frozen(now)
        if not frozen and self.chance.random() < 0.5:
            return
        finding = self.chance.choice((Finding.CONFIRMED, Finding.CONFIRMED, Finding.CONFIRMED, Finding.UNFOUNDED))
        case_id = frozen[0].case_id if frozen else self.chance.choice(list(self.coins.root_of))
        closing = Closing(finding=finding, reason="核实完毕")
        await self._try("close", decisions.close(self.office, self.officers[0], case_id, closing, now))

    async def _reopen(self, now: datetime) -> None:
        if self.chance.random() < 0.3:
            case_id = self.chance.choice(list(self.coins.root_of))
            await self._try("reopen", decisions.reopen(self.office, self.officers[0], case_id, "新线索", now))

    async def _split(self, now: datetime) -> None:
        case_id = self.chance.choice(list(self.coins.root_of)) if self.coins.root_of else None
        mine = [report_id for report_id, where in self.case_of.items() if where == case_id]
        if case_id is None or len(mine) < 2 or self.chance.random() < 0.5:
            return
        taken = self.chance.sample(mine, self.chance.randint(1, len(mine) - 1))
        asked = Splitting(report_ids=taken, reason="另案")
        try:
            new, _ = await casework.split(self.office, self.officers[0], case_id, asked, now)
        except Refusal:
            self.events["refused"] += 1
            return
        self.events["split"] += 1
        self.coins.root_of[new] = self.coins.root_of[case_id]
        self.case_of |= dict.fromkeys(taken, new)

    async def _try(self, what: str, step: Awaitable[Sequence[Outgoing]]) -> None:
        try:
            self._post(await step)
            self.events[what] += 1
        except Refusal:
            self.events["refused"] += 1
