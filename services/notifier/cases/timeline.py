"""The words of a case's timeline, as officers read them: masked facts only. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from services.notifier.cases.case import MACHINE, Case, Entry
from services.notifier.clock.clock import BEIJING
from services.notifier.orders.order import ENDING, Order, Standing
from shared.events import (
    Checked,
    DispositionOutcome,
    Failure,
    FeedbackContradicted,
    FeedbackResult,
    Finding,
    OrderKind,
    VerdictReached,
)
from shared.money import yuan

OUTCOMES = {
    DispositionOutcome.CANCELLED: "客户取消办理，劝阻成功",
    DispositionOutcome.PROCEEDED: "客户坚持办理",
    DispositionOutcome.ALREADY_SENT: "款项已经转出",
}
FINDINGS = {Finding.CONFIRMED: "属实，系电信网络诈骗", Finding.UNFOUNDED: "不属实，已排除诈骗"}
KINDS: Final[Mapping[str, str]] = {
    OrderKind.STOP: "紧急止付",
    OrderKind.EXTEND_STOP: "延长止付",
    OrderKind.RELEASE_STOP: "解除止付",
    OrderKind.FREEZE: "冻结",
    OrderKind.EXTEND_FREEZE: "续行冻结",
    OrderKind.UNFREEZE: "解除冻结",
    OrderKind.RETURN_FUNDS: "资金返还",
}
DONE: Final = {**KINDS, OrderKind.STOP: "止付", OrderKind.RETURN_FUNDS: "返还"}
FACTS: Final = {
    Checked.NAME: "户名",
    Checked.ACCOUNT: "账号",
    Checked.AMOUNT: "金额",
    Checked.TRANSFER_AT: "交易时间",
}
MOST_REASONS: Final = 3


def judged_again(case_id: UUID, verdict: VerdictReached, now: datetime) -> Entry:
    """Tell that a later fact made a report an alert, or a graver one: when it was filed, when judged again, why."""
    report = verdict.report
    reasons = [finding.why for finding in verdict.findings if finding.weight >= 0][:MOST_REASONS]
    text = (
        f"再次研判：{report.branch} {_clock(report.filed_at)} 提交的报告，{_clock(verdict.judged_at)} "
        f"再次研判为预警，评分 {verdict.score}，依据：{'；'.join(reasons)}"
    )
    return Entry(case_id, now, "judged_again", MACHINE, text, told_by=verdict.verdict_id)


def visit_ended(
    case_id: UUID, disposition_id: UUID, outcome: DispositionOutcome, amount_fen: int, now: datetime
) -> Entry:
    """Tell how a visit to the counter ended."""
    text = f"柜面处置：{OUTCOMES[outcome]}，{yuan(amount_fen)} 元"
    return Entry(case_id, now, "disposition", MACHINE, text, told_by=disposition_id)


def acknowledged(after: Case, officer: str, now: datetime) -> Entry:
    """Tell who took the case on, and how long it took."""
    seconds = (now - after.alerted_at).total_seconds()
    return Entry(after.id, now, "acknowledged", _by(officer), f"已签收，用时 {seconds:.1f} 秒")


def ordered(given: Order, officer: str | None, now: datetime) -> Entry:
    """Tell what a bank was ordered to do, or is to be once a second officer approves; by itself without an officer."""
    proposed = given.status is Standing.PROPOSED
    text = f"{'提请审批' if proposed else '下达'}{KINDS[given.kind]}指令：{_about(given)}"
    if given.corrects:
        text += "（更正后重新下达）"
    if given.bank_stopped_at:
        text += f"（银行已于 {_clock(given.bank_stopped_at)} 先行止付，补办手续）"
    actor = _by(officer) if officer else MACHINE
    return Entry(given.case_id, now, "proposed" if proposed else "ordered", actor, text)


def _about(given: Order) -> str:
    text = given.bank if given.account_level == 1 else f"{given.bank}（第 {given.account_level} 级账户）"
    if given.kind not in ENDING:
        text += f"，金额 {yuan(given.amount_fen)} 元"
    return text + (f"，期限 {given.term_months} 个月" if given.term_months else "")


def approval_wanted(given: Order) -> str:
    """Return why approvers are alerted."""
    return f"{KINDS[given.kind]}待审批：{_about(given)}"


def approved(after: Order, officer: str, now: datetime) -> Entry:
    """Tell who approved an order."""
    text = f"审批通过，下达{KINDS[after.kind]}指令：{_about(after)}"
    return Entry(after.case_id, now, "approved", _by(officer), text)


def rejected(after: Order, officer: str | None, now: datetime, *, own: bool = False) -> Entry:
    """Tell who turned an order down, or took it back; nobody did where all of the case was freed."""
    why = "案件全部解除，不再审批" if officer is None else "已由本人撤回" if own else "不予批准"
    text = f"{KINDS[after.kind]}申请{why}：{_about(after)}"
    return Entry(after.case_id, now, "rejected", _by(officer) if officer else MACHINE, text)


def answered(after: Order, now: datetime) -> Entry:
    """Tell what the bank did with an order."""
    match (after.status, after.kind):
        case (Standing.EXECUTED, OrderKind.STOP | OrderKind.EXTEND_STOP):
            text = f"银行反馈：已{DONE[after.kind]} {yuan(after.stopped_fen or 0)} 元"
            if after.balance_before_fen is not None:
                text += f"（止付前余额 {yuan(after.balance_before_fen)} 元）"
        case (Standing.EXECUTED, OrderKind.FREEZE | OrderKind.EXTEND_FREEZE):
            text = f"银行反馈：已{DONE[after.kind]} {yuan(after.frozen_fen or 0)} 元"
        case (Standing.EXECUTED, OrderKind.RETURN_FUNDS):
            text = f"银行反馈：已{DONE[after.kind]} {yuan(after.returned_fen or 0)} 元"
        case (Standing.EXECUTED, _):
            text = f"银行反馈：已{DONE[after.kind]}"
        case _:
            text = f"银行反馈：{_failed(after)}"
    return Entry(after.case_id, now, "feedback", f"bank:{after.bank}", text)


def _failed(after: Order) -> str:
    match after.failure:
        case Failure.MISMATCH:
            return f"未执行，{'、'.join(FACTS[one] for one in after.mismatch)}核对不符，请更正后重新下达"
        case Failure.TECHNICAL:
            return "未能执行，技术原因见反馈"
        case _:
            return "未能执行，原因见反馈"


def moved_on(after: Order, accounts: int, fen: int, now: datetime) -> Entry:
    """Tell that the money of an order has moved on, as its bank says."""
    text = f"银行反馈：资金已转往下一级账户 {accounts} 个，共 {yuan(fen)} 元"
    return Entry(after.case_id, now, "moved_on", f"bank:{after.bank}", text)


def contradicted(case_id: UUID, event: FeedbackContradicted, now: datetime) -> Entry:
    """Ask a person to look: the bank said one thing and then another."""
    said = "已执行" if event.result is FeedbackResult.SUCCESS else "未执行"
    amount = f"，金额 {yuan(event.stopped_fen)} 元" if event.stopped_fen is not None else ""
    text = f"需人工复核：银行对同一指令的反馈前后不一致，后一次称{said}{amount}"
    return Entry(case_id, now, "contradiction", f"bank:{event.bank}", text, told_by=event.contradiction_id)


def closed(after: Case, finding: Finding, officer: str, now: datetime) -> Entry:
    """Tell what the police found."""
    return Entry(after.id, now, "closed", _by(officer), f"结案：{FINDINGS[finding]}")


def _by(officer: str) -> str:
    return f"officer:{officer}"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"
