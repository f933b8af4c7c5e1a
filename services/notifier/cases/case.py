"""A case: what the police know of one payee account, from the first alert to the finding. Pure.

open → acknowledged → closed; transferred it is open again, reopened acknowledged. While a case is not closed, every
further alert on the account joins it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from services.notifier.clock.clock import Deadlines, Stage, Urgency
from services.notifier.orders.law import Rule, broken
from shared.events import CaseChanged, CaseStatus, Finding, VerdictReached
from shared.money import yuan

MACHINE: Final = "lanjie"
"""The actor of what happens by itself."""


@dataclass(frozen=True, slots=True)
class Case:
    """The state of a case. `payee_mask` is what a list may show; `bank` and `unit` are the first report's.

    `in_charge` is the unit at work on it, `responsible` the officer; both change hands. `split_from` is the case
    it was taken out of, or the one that was taken out of: reports to come join that one, and the money of the
    whole family is counted together. `traceparent` is of the report that opened it.
    """

    id: UUID
    version: int
    payee_token: str
    payee_mask: Mapping[str, str]
    scam_type: str | None
    unit: str
    bank: str
    status: CaseStatus
    amount_fen: int
    opened_at: datetime
    acknowledge_by: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: UUID | None = None
    closed_at: datetime | None = None
    finding: Finding | None = None
    sealed_reason: str | None = None
    outcome_id: UUID | None = None
    in_charge: str = ""
    responsible: UUID | None = None
    urgency: Urgency = Urgency.URGENT
    split_from: UUID | None = None
    transferred_at: datetime | None = None
    traceparent: str = ""

    @property
    def alerted_at(self) -> datetime:
        """When the unit in charge was told: the moment its time to acknowledge runs from."""
        return self.transferred_at or self.opened_at

    @property
    def family(self) -> UUID:
        """The case that this one and all that were taken out of the same one go back to."""
        return self.split_from or self.id


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a case's timeline. `text` is read by officers and holds masked facts only.

    `words` are an officer's own and follow it; they may name people, so they are kept sealed. `told_by` is the id of
    the event that tells it, where the event may come again.
    """

    case_id: UUID
    at: datetime
    kind: str
    actor: str
    text: str
    told_by: UUID | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """A report at alert level and the case it went to."""

    verdict: VerdictReached
    case_id: UUID
    unit: str
    opened: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """What a batch of alerts does to the cases. `hastened` are those of `joined` that have less time than before."""

    opened: Mapping[UUID, Case] = field(default_factory=dict)
    joined: Mapping[UUID, Case] = field(default_factory=dict)
    reports: Sequence[Placed] = ()
    entries: Sequence[Entry] = ()
    hastened: Sequence[Case] = ()

    def cases(self) -> list[Case]:
        return [*self.opened.values(), *self.joined.values()]


@dataclass(frozen=True, slots=True)
class Alerting:
    """A verdict at alert level with what placing it needs: the unit in charge, the mask, an id to use."""

    verdict: VerdictReached
    unit: str
    payee_mask: Mapping[str, str]
    case_id: UUID
    traceparent: str = ""


def place(alerts: Iterable[Alerting], open_cases: Iterable[Case], deadlines: Deadlines, now: datetime) -> Placement:
    """Put each report into the open case of its payee account, or open one."""
    stored = {case.payee_token: case for case in open_cases}
    current = dict(stored)
    reports, entries = [], []
    for alert in alerts:
        verdict, report = alert.verdict, alert.verdict.report
        case = current.get(report.payee_token)
        opens = case is None
        case = _opened(alert, deadlines, now) if case is None else _joined(case, verdict, deadlines, now)
        current[report.payee_token] = case
        reports.append(Placed(verdict, case.id, alert.unit, opens))
        what = "立案预警" if opens else "同一收款账户再次预警，并入本案"
        text = f"{what}：{report.branch} 报告，金额 {yuan(report.amount_fen)} 元，评分 {verdict.score}"
        entries.append(Entry(case.id, now, "opened" if opens else "joined", MACHINE, text))
    changed = {case.id: case for token, case in current.items() if case is not stored.get(token)}
    old = {case.id: case for case in stored.values()}
    joined = {case_id: case for case_id, case in changed.items() if case_id in old}
    return Placement(
        opened={case_id: case for case_id, case in changed.items() if case_id not in old},
        joined=joined,
        reports=reports,
        entries=entries,
        hastened=[case for case in joined.values() if case.acknowledge_by < old[case.id].acknowledge_by],
    )


def _opened(alert: Alerting, deadlines: Deadlines, now: datetime) -> Case:
    report = alert.verdict.report
    urgency = urgency_of(alert.verdict)
    return Case(
        id=alert.case_id,
        version=1,
        payee_token=report.payee_token,
        payee_mask=alert.payee_mask,
        scam_type=alert.verdict.scam_type,
        unit=alert.unit,
        bank=report.bank,
        status=CaseStatus.OPEN,
        amount_fen=report.amount_fen,
        opened_at=now,
        acknowledge_by=now + deadlines.span(alert.unit, urgency, Stage.ACKNOWLEDGE),
        in_charge=alert.unit,
        urgency=urgency,
        traceparent=alert.traceparent,
    )


def _joined(case: Case, verdict: VerdictReached, deadlines: Deadlines, now: datetime) -> Case:
    """A customer at the counter makes a case urgent that was not; nobody gets more time by what joins."""
    after = replace(case, version=case.version + 1, amount_fen=case.amount_fen + verdict.report.amount_fen)
    if case.urgency is Urgency.URGENT or urgency_of(verdict) is Urgency.NORMAL:
        return after
    by = now + deadlines.span(case.in_charge, Urgency.URGENT, Stage.ACKNOWLEDGE)
    return replace(after, urgency=Urgency.URGENT, acknowledge_by=min(case.acknowledge_by, by))


def urgency_of(verdict: VerdictReached) -> Urgency:
    """The customer is at the counter, unless the report came late or was judged again: then minutes count less."""
    return Urgency.NORMAL if verdict.report.late or verdict.version > 1 else Urgency.URGENT


def acknowledge(case: Case, officer_id: UUID, now: datetime) -> Case | None:
    """Take the case on; return nothing where that has been done already: twice is once."""
    if case.status is not CaseStatus.OPEN:
        return None
    return replace(
        case,
        version=case.version + 1,
        status=CaseStatus.ACKNOWLEDGED,
        acknowledged_at=now,
        acknowledged_by=officer_id,
        responsible=officer_id,
    )


def close(
    case: Case, finding: Finding, scam_type: str | None, sealed_reason: str, outcome_id: UUID, now: datetime
) -> Case | None:
    """Close the case with a finding; return nothing where the same was said before.

    Raises a conflict where the case was closed with another finding.
    """
    if case.status is CaseStatus.CLOSED:
        if case.finding is finding:
            return None
        raise broken(Rule.ONE_FINDING)
    return replace(
        case,
        version=case.version + 1,
        status=CaseStatus.CLOSED,
        closed_at=now,
        finding=finding,
        scam_type=scam_type or case.scam_type,
        sealed_reason=sealed_reason,
        outcome_id=outcome_id,
    )


def changed(case: Case, report_ids: Iterable[UUID]) -> CaseChanged:
    """Say how the case stands now, and that these reports are in it."""
    return CaseChanged(
        case_id=case.id,
        version=case.version,
        status=case.status,
        unit=case.in_charge or case.unit,
        report_ids=tuple(sorted(report_ids)),
        opened_at=case.opened_at,
        acknowledged_at=case.acknowledged_at,
        closed_at=case.closed_at,
        finding=case.finding,
    )
