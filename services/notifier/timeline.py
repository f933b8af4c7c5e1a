"""The words of a case's timeline, as officers read them: masked facts only. Pure."""

from datetime import datetime, timedelta, timezone
from typing import Final
from uuid import UUID

from services.notifier.case import MACHINE, Case, Entry
from services.notifier.order import Order, Standing
from shared.events import (
    DispositionOutcome,
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
BEIJING: Final = timezone(timedelta(hours=8))
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
    seconds = (now - after.opened_at).total_seconds()
    return Entry(after.id, now, "acknowledged", _by(officer), f"已签收，用时 {seconds:.1f} 秒")


def ordered(given: Order, officer: str, now: datetime) -> Entry:
    """Tell what a bank was ordered to do."""
    if given.kind is OrderKind.STOP:
        text = f"下达紧急止付指令：{given.bank}，金额 {yuan(given.amount_fen)} 元"
    else:
        text = f"下达解除止付指令：{given.bank}"
    return Entry(given.case_id, now, "ordered", _by(officer), text)


def answered(after: Order, now: datetime) -> Entry:
    """Tell what the bank did with an order."""
    match (after.status, after.kind):
        case (Standing.EXECUTED, OrderKind.STOP):
            text = f"银行反馈：已止付 {yuan(after.stopped_fen or 0)} 元"
            if after.balance_before_fen is not None:
                text += f"（止付前余额 {yuan(after.balance_before_fen)} 元）"
        case (Standing.EXECUTED, _):
            text = "银行反馈：已解除止付"
        case _:
            text = "银行反馈：未能执行，原因见反馈"
    return Entry(after.case_id, now, "feedback", f"bank:{after.bank}", text)


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
