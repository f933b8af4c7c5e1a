"""notifier's use case that verdicts bring: reports counted, cases opened and joined, units alerted; one transaction.

A report may be judged again when a later fact changes its verdict: the same report with a higher version, at a
higher level or score. Versions come twice and in any order; the newest counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.notifier import people_store
from services.notifier.alerting import alert, alert_store
from services.notifier.alerting.alert_store import Alert
from services.notifier.cases import case, report_store, store, timeline
from services.notifier.cases.announcing import announce
from services.notifier.cases.case import Alerting, Placed, Placement
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Deadline, Deadlines, Stage
from services.notifier.money import ledger, money_store, visits
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
    """What a batch of verdicts says: of reports that are new, of others that were in no case, of others in one."""

    new: list[VerdictReached]
    again: list[VerdictReached]
    again_in_case: list[tuple[VerdictReached, UUID]]


async def take_verdicts(
    pool: Pool, identity: Seal, deadlines: Deadlines, verdicts: Sequence[VerdictReached], now: datetime
) -> Taken:
    """Count new reports, open or join cases for those at alert level; alert the branches' units and those in charge.

    A report that is judged again and is an alert now goes into a case like a new one; its money was counted
    before. Every verdict is answered, whatever it changed: by the case its report is in, or as counted.
    Raises `OpenedMeanwhileError`.
    """
    newest = {verdict.report.report_id: verdict for verdict in sorted(verdicts, key=lambda one: one.version)}
    async with pool.acquire() as connection, connection.transaction():
        branches = sorted({verdict.report.branch for verdict in newest.values()})
        units = await people_store.units_of_branches(connection, branches)
        heard = await _hear(connection, list(newest.values()), units)
        placement = await _place(connection, identity, deadlines, heard, units, now)
        rows = [*await _answer(connection, list(newest), placement), *_taken(verdicts)]
        moved = {verdict.report.report_id: verdict.verdict_id for verdict in heard.again}
        changed = [verdict.report.report_id for verdict in (*heard.new, *heard.again)]
        lines, counted = await visits.count(connection, changed, moved, now)
        await money_store.book(connection, [*_reported(heard.new, units), *lines])
        await keep(connection, rows + counted)
    return Taken(heard.new, placement.reports, rows + counted)


def _taken(verdicts: Sequence[VerdictReached]) -> list[Outgoing]:
    """Answer second verdicts by name: rules keeps them until then, however often the report itself was answered."""
    return [
        outgoing(VerdictTaken(verdict_id=verdict.verdict_id, report_id=verdict.report.report_id), new_id())
        for verdict in verdicts
        if verdict.version > 1
    ]


async def _hear(connection: Connection, verdicts: Sequence[VerdictReached], units: dict[str, tuple[str, str]]) -> Heard:
    """Write reports down, and newer verdicts of those that are known."""
    fresh = await report_store.insert_reports(connection, verdicts, units)
    new = [verdict for verdict in verdicts if verdict.report.report_id in fresh]
    newer = [one for one in verdicts if one.version > 1 and one.report.report_id not in fresh]
    case_ids = await report_store.rejudge_reports(connection, newer) if newer else {}
    taken = [(one, case_ids[one.report.report_id]) for one in newer if one.report.report_id in case_ids]
    return Heard(
        new,
        [verdict for verdict, case_id in taken if case_id is None],
        [(verdict, case_id) for verdict, case_id in taken if case_id is not None],
    )


def _reported(verdicts: Sequence[VerdictReached], units: Mapping[str, tuple[str, str]]) -> list[visits.Line]:
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


async def _answer(connection: Connection, report_ids: Sequence[UUID], placement: Placement) -> list[Outgoing]:
    """Name every report: in its case as that stands, or as counted where it is in none."""
    in_cases = await report_store.reports_in_cases(connection, report_ids)
    cases = {one.id: one for one in placement.cases()}
    if before := in_cases - {one.verdict.report.report_id for one in placement.reports}:
        cases |= {one.id: one for one in await store.cases_of_reports(connection, sorted(before))}
    rows = await announce(connection, list(cases.values())) if cases else []
    if others := sorted(set(report_ids) - in_cases):
        rows.append(outgoing(ReportsCounted(report_ids=tuple(others)), new_id()))
    return rows


async def _place(
    connection: Connection,
    identity: Seal,
    deadlines: Deadlines,
    heard: Heard,
    units: dict[str, tuple[str, str]],
    now: datetime,
) -> Placement:
    """Put the reports at alert level that are in no case into one, and tell the cases what was judged again."""
    urgent = [verdict for verdict in (*heard.new, *heard.again) if verdict.level is Level.ALERT]
    if not urgent and not heard.again_in_case:
        return Placement({}, {}, (), ())
    masked = {verdict.report.report_id: alert.masks(verdict, identity) for verdict in urgent}
    alerting = [
        Alerting(verdict, units[verdict.report.branch][0], masked[verdict.report.report_id]["payee"], new_id())
        for verdict in urgent
    ]
    tokens = sorted({verdict.report.payee_token for verdict in urgent})
    locked = await store.cases_on(connection, tokens, [verdict.report.report_id for verdict, _ in heard.again_in_case])
    open_cases = [one for one in locked if one.status is not CaseStatus.CLOSED]
    placement = case.place(alerting, open_cases, deadlines, now)
    if urgent:
        await _write(connection, placement, masked, units, deadlines, now)
    placed = [(one.verdict, one.case_id) for one in placement.reports if one.verdict.version > 1]
    again = [timeline.judged_again(case_id, verdict, now) for verdict, case_id in (*placed, *heard.again_in_case)]
    if again:
        await store.tell(connection, again)
    return placement


async def _write(
    connection: Connection,
    placement: Placement,
    masked: Mapping[UUID, dict[str, dict[str, str]]],
    units: dict[str, tuple[str, str]],
    deadlines: Deadlines,
    now: datetime,
) -> None:
    await store.insert_cases(connection, list(placement.opened.values()))
    await store.update_cases(connection, list(placement.joined.values()))
    await report_store.put_into_cases(connection, placement.reports, units)
    await store.write_timeline(connection, placement.entries)
    cases = {one.id: one for one in placement.cases()}
    paths = dict(units.values()) | await people_store.paths_of(connection, {one.in_charge for one in cases.values()})
    alerts = []
    for one in placement.reports:
        report, about = one.verdict.report, cases[one.case_id]
        for unit in dict.fromkeys((one.unit, about.in_charge)):
            alert_id = new_id()
            told = alert.facts(alert_id, about, one.verdict, unit, masked[report.report_id], opened=one.opened)
            alerts.append(Alert(alert_id, one.case_id, report.report_id, unit, paths[unit], told, now))
    await alert_store.insert_alerts(connection, alerts)
    await _start_clock(connection, placement, deadlines, now)


async def _start_clock(connection: Connection, placement: Placement, deadlines: Deadlines, now: datetime) -> None:
    """What is opened is to be acknowledged; money that joins a case at work is to be stopped, unless that is done."""
    opened = [Deadline(one.id, Stage.ACKNOWLEDGE, one.acknowledge_by) for one in placement.opened.values()]
    await clock_store.start(connection, opened)
    waiting = [one for one in placement.joined.values() if one.status is CaseStatus.OPEN]
    await clock_store.hasten(connection, [Deadline(one.id, Stage.ACKNOWLEDGE, one.acknowledge_by) for one in waiting])
    await clock_store.start_order(connection, deadlines, list(placement.joined.values()), now)
