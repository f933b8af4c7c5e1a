"""notifier's use case that verdicts bring: reports counted, cases opened and joined, units alerted; one transaction.

A report may be judged again when a later fact changes its verdict: the same report with a higher version, at a
higher level or score. Versions come twice and in any order; the newest counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from services.notifier import people_store
from services.notifier.alerting import alert, alert_store
from services.notifier.alerting.alert_store import Alert
from services.notifier.cases import case, report_store, store, timeline
from services.notifier.cases.announcing import answer
from services.notifier.cases.case import Alerting, Placed, Placement
from services.notifier.cases.report_store import Units
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Deadline, Deadlines, Stage
from services.notifier.money import family_store, ledger, money_store, visits
from shared.events import CaseStatus, Level, ReportsCounted, VerdictReached, VerdictTaken
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Connection, Pool
from shared.privacy import Seal


@dataclass(frozen=True, slots=True)
class Taken:
    """What a batch of verdicts led to."""

    new: list[VerdictReached]
    placed: Sequence[Placed]
    rows: list[Outgoing]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a batch of verdicts says: of reports that are new, of others that were in no case, of others in one.

    `traces` are those of all, by the report's id.
    """

    new: list[VerdictReached]
    again: list[VerdictReached]
    again_in_case: list[tuple[VerdictReached, UUID]]
    traces: Mapping[UUID, str]

    def trace_of(self, verdict: VerdictReached) -> str:
        """Return the trace of a verdict's report."""
        return self.traces.get(verdict.report.report_id, "")


UNTRACED: Final[Mapping[UUID, str]] = MappingProxyType({})


async def take_verdicts(
    pool: Pool,
    identity: Seal,
    deadlines: Deadlines,
    verdicts: Sequence[VerdictReached],
    now: datetime,
    traces: Mapping[UUID, str] = UNTRACED,
) -> Taken:
    """Count new reports, open or join cases for those at alert level; alert the branches' units and those in charge.

    A report that is judged again and is an alert now goes into a case like a new one; its money was counted
    before. Every verdict is answered, whatever it changed: by the case its report is in, or as counted.
    `traces` are those of reports, by id.
    Raises `OpenedMeanwhileError`, `HeardMeanwhileError`.
    """
    newest = {verdict.report.report_id: verdict for verdict in sorted(verdicts, key=lambda one: one.version)}
    async with pool.acquire() as connection, connection.transaction():
        branches = sorted({verdict.report.branch for verdict in newest.values()})
        units = await people_store.units_of_branches(connection, branches)
        heard = await _hear(connection, list(newest.values()), traces)
        placement = await _place(connection, identity, deadlines, heard, units, now)
        rows = [*await _answer(connection, newest, heard, placement), *_taken(verdicts, traces)]
        lines, counted = await _count_visits(connection, heard, placement, now)
        await money_store.book(connection, [*_reported(heard.new, units), *lines])
        await keep(connection, rows)
    return Taken(heard.new, placement.reports, rows + counted)


def _taken(verdicts: Sequence[VerdictReached], traces: Mapping[UUID, str]) -> list[Outgoing]:
    """Answer second verdicts by name: rules keeps them until then, however often the report itself was answered."""
    return [
        outgoing(
            VerdictTaken(verdict_id=verdict.verdict_id, report_id=verdict.report.report_id),
            new_id(),
            traceparent=traces.get(verdict.report.report_id, ""),
            kept=False,
        )
        for verdict in verdicts
        if verdict.version > 1
    ]


async def _hear(connection: Connection, verdicts: Sequence[VerdictReached], traces: Mapping[UUID, str]) -> Heard:
    """Tell new reports from known ones, and write down newer verdicts of the known."""
    known = await report_store.known(connection, [verdict.report.report_id for verdict in verdicts])
    new = [verdict for verdict in verdicts if verdict.report.report_id not in known]
    newer = [one for one in verdicts if one.version > 1 and one.report.report_id in known]
    case_ids = await report_store.rejudge_reports(connection, newer) if newer else {}
    taken = [(one, case_ids[one.report.report_id]) for one in newer if one.report.report_id in case_ids]
    return Heard(
        new,
        [verdict for verdict, case_id in taken if case_id is None],
        [(verdict, case_id) for verdict, case_id in taken if case_id is not None],
        traces,
    )


async def _count_visits(
    connection: Connection, heard: Heard, placement: Placement, now: datetime
) -> tuple[list[visits.Line], list[Outgoing]]:
    """Count how visits ended that are known already, and what these reports make room for."""
    changed = [verdict.report.report_id for verdict in (*heard.new, *heard.again)]
    if not await family_store.more_to_count(connection, changed, [one.id for one in placement.cases()]):
        return [], []
    moved = {verdict.report.report_id: verdict.verdict_id for verdict in heard.again}
    return await visits.count(connection, changed, moved, now, heard.traces)


def _reported(verdicts: Sequence[VerdictReached], units: Units) -> list[visits.Line]:
    return [
        (
            verdict.report.report_id,
            ledger.Entry(
                ledger.Kind.REPORTED,
                verdict.report.amount_fen,
                verdict.report.bank,
                units[verdict.report.branch][0],
                verdict.report.report_id,
            ),
        )
        for verdict in verdicts
    ]


async def _answer(
    connection: Connection, newest: Mapping[UUID, VerdictReached], heard: Heard, placement: Placement
) -> list[Outgoing]:
    """Name every report: in its case as that stands, or as counted where it is in none."""
    case_ids = {one.verdict.report.report_id: one.case_id for one in placement.reports}
    new = {verdict.report.report_id for verdict in heard.new}
    if before := [report_id for report_id in newest if report_id not in case_ids and report_id not in new]:
        case_ids |= await report_store.cases_of(connection, before)
    reports: dict[UUID, set[UUID]] = {}
    for report_id, case_id in case_ids.items():
        reports.setdefault(case_id, set()).add(report_id)
    cases = [one for one in placement.cases() if one.id in reports]
    if others := sorted(reports.keys() - {one.id for one in cases}):
        cases += await store.cases_with(connection, others)
    rows = answer(cases, reports, {report_id for report_id, one in newest.items() if one.version > 1})
    if uncounted := sorted(newest.keys() - case_ids.keys()):
        trace = heard.traces.get(uncounted[0], "") if len(uncounted) == 1 else ""  # many at once belong to none
        rows.append(outgoing(ReportsCounted(report_ids=tuple(uncounted)), new_id(), traceparent=trace, kept=False))
    return rows


async def _place(
    connection: Connection,
    identity: Seal,
    deadlines: Deadlines,
    heard: Heard,
    units: Units,
    now: datetime,
) -> Placement:
    """Write new reports down, those at alert level that are in no case in one; tell cases what was judged again."""
    urgent = [verdict for verdict in (*heard.new, *heard.again) if verdict.level is Level.ALERT]
    if not urgent and not heard.again_in_case:
        await report_store.insert_reports(connection, heard.new, units, {})
        return Placement()
    masked = {verdict.report.report_id: alert.masks(verdict, identity) for verdict in urgent}
    alerting = [
        Alerting(
            verdict,
            units[verdict.report.branch][0],
            masked[verdict.report.report_id]["payee"],
            new_id(),
            heard.trace_of(verdict),
        )
        for verdict in urgent
    ]
    tokens = sorted({verdict.report.payee_token for verdict in urgent})
    locked = await store.cases_on(connection, tokens, [verdict.report.report_id for verdict, _ in heard.again_in_case])
    open_cases = [one for one in locked if one.status is not CaseStatus.CLOSED]
    placement = case.place(alerting, open_cases, deadlines, now)
    await _write(connection, heard, placement, units)
    if urgent:
        await _alert(connection, placement, heard, masked, units, now)
        await _start_clock(connection, placement, deadlines, now)
    placed = [(one.verdict, one.case_id) for one in placement.reports if one.verdict.version > 1]
    again = [timeline.judged_again(case_id, verdict, now) for verdict, case_id in (*placed, *heard.again_in_case)]
    if again:
        await store.tell(connection, again)
    return placement


async def _write(connection: Connection, heard: Heard, placement: Placement, units: Units) -> None:
    await store.insert_cases(connection, list(placement.opened.values()))
    await store.join_cases(connection, list(placement.joined.values()))
    case_ids = {one.verdict.report.report_id: one.case_id for one in placement.reports}
    new = {verdict.report.report_id for verdict in heard.new}
    await report_store.insert_reports(connection, heard.new, units, case_ids)
    await report_store.put_into_cases(connection, {one: case_ids[one] for one in case_ids if one not in new})
    await report_store.let_see(connection, placement.reports, units)
    await store.write_timeline(connection, placement.entries)


async def _alert(
    connection: Connection,
    placement: Placement,
    heard: Heard,
    masked: Mapping[UUID, dict[str, dict[str, str]]],
    units: Units,
    now: datetime,
) -> None:
    cases = {one.id: one for one in placement.cases()}
    paths = dict(units.values())
    if others := {one.in_charge for one in cases.values()} - paths.keys():
        paths |= await people_store.paths_of(connection, others)
    alerts = []
    for one in placement.reports:
        report, about = one.verdict.report, cases[one.case_id]
        for unit in dict.fromkeys((one.unit, about.in_charge)):
            alert_id = new_id()
            told = alert.facts(alert_id, about, one, unit, masked[report.report_id], heard.trace_of(one.verdict))
            alerts.append(Alert(alert_id, one.case_id, report.report_id, unit, paths[unit], told, now))
    await alert_store.insert_alerts(connection, alerts)


async def _start_clock(connection: Connection, placement: Placement, deadlines: Deadlines, now: datetime) -> None:
    """What is opened is to be acknowledged; money that joins a case at work is to be stopped, unless that is done."""
    opened = [Deadline(one.id, Stage.ACKNOWLEDGE, one.acknowledge_by) for one in placement.opened.values()]
    await clock_store.start(connection, opened)
    sooner = [one for one in placement.hastened if one.status is CaseStatus.OPEN]
    await clock_store.hasten(connection, [Deadline(one.id, Stage.ACKNOWLEDGE, one.acknowledge_by) for one in sooner])
    joined = [one.verdict.report.report_id for one in placement.reports]
    await clock_store.start_order(connection, deadlines, list(placement.joined.values()), now, joined)
