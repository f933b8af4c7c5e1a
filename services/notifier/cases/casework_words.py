"""The words of a case's timeline about work on the case as a whole: masked facts only. Pure.

Reasons and titles follow as officers wrote them, and are kept sealed; notes and objections are not in it at all.
"""

from datetime import datetime
from uuid import UUID

from services.notifier.cases.case import Entry
from shared.events import Finding

FINDINGS = {Finding.CONFIRMED: "属实", Finding.UNFOUNDED: "不属实"}


def taken_over(case_id: UUID, officer: str, reason: str | None, now: datetime) -> Entry:
    """Tell who is responsible from now on."""
    return _by(officer, case_id, now, "taken_over", "接手本案", _why(reason))


def transferred(case_id: UUID, officer: str, units: tuple[str, str], reason: str, now: datetime) -> Entry:
    """Tell from which unit to which a case went."""
    return _by(officer, case_id, now, "transferred", f"移交：由 {units[0]} 移交 {units[1]}", _why(reason))


def linked(case_id: UUID, other_id: UUID, officer: str, reason: str, now: datetime) -> Entry:
    """Tell which other case this one has to do with."""
    return _by(officer, case_id, now, "linked", f"关联案件 {other_id}", _why(reason))


def split(case_id: UUID, new_id: UUID, number: int, officer: str, reason: str, now: datetime) -> list[Entry]:
    """Tell both cases what was taken out of the one and became the other."""
    return [
        _by(officer, case_id, now, "split", f"拆分：{number} 份报告另立案件 {new_id}", _why(reason)),
        _by(officer, new_id, now, "opened", f"拆分立案：{number} 份报告由案件 {case_id} 转入", _why(reason)),
    ]


def noted(case_id: UUID, officer: str, now: datetime) -> Entry:
    """Tell that there is a note; what it says is shown with the case, to its officers."""
    return _by(officer, case_id, now, "noted", "补充备注一条")


def attached(case_id: UUID, officer: str, title: str, now: datetime) -> Entry:
    """Tell what was attached."""
    return _by(officer, case_id, now, "attached", "登记材料：", title)


def reopened(case_id: UUID, officer: str, finding: Finding, reason: str, now: datetime) -> Entry:
    """Tell that a finding was taken back."""
    return _by(officer, case_id, now, "reopened", f"重新办理：撤回“{FINDINGS[finding]}”结论", _why(reason))


def objected(case_id: UUID, officer: str, now: datetime) -> Entry:
    """Tell that an account holder objects."""
    return _by(officer, case_id, now, "objected", "登记账户持有人异议一件")


def objection_answered(case_id: UUID, officer: str, now: datetime, *, upheld: bool) -> Entry:
    """Tell what was decided about an objection."""
    text = "异议答复：异议成立，解除全部管控" if upheld else "异议答复：异议不成立，维持原措施"
    return _by(officer, case_id, now, "objection_answered", text)


def _by(officer: str, case_id: UUID, now: datetime, kind: str, text: str, words: str = "") -> Entry:
    return Entry(case_id, now, kind, f"officer:{officer}", text, words=words)


def _why(reason: str | None) -> str:
    return f"，理由：{reason}" if reason else ""
