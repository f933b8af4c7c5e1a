"""`lanjie ledger verify`: the ledger against the events it was made of. Reads only; names every difference."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from services.notifier.money import checking, recount, verify_store
from services.notifier.money.checking import Difference
from shared.postgres import AnyConnection, Row

K = TypeVar("K", UUID, str)
T = TypeVar("T")

PAGE: Final = 500
REPORTS_AT_ONCE: Final = 1000
"""Of cases as many as have so many reports are compared together: each comes with its verdict, of several kB."""
NOBODY: Final = UUID(int=0)


@dataclass(slots=True)
class Verified:
    """What was looked at, and what differs. `answers_not_kept` are orders of which only the answer's result is left.

    Answers are kept since `kept_since`; one that was given later and is not there is a difference.
    """

    cases: int = 0
    reports: int = 0
    orders: int = 0
    entries: int = 0
    answers_not_kept: int = 0
    kept_since: datetime | None = field(default=None, compare=False)
    differences: list[Difference] = field(default_factory=list)


Line = tuple[str, UUID | None, UUID | None, str, str]
"""Kind, case, report, bank, unit."""


async def verify(connection: AnyConnection, looked: Callable[[Verified], None] = lambda _: None) -> Verified:
    """Compare all there is as it stands at one moment, page by page; `looked` is told after each page."""
    found = Verified()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        found.kept_since = await verify_store.answers_kept_since(connection)
        last = NOBODY
        while roots := await verify_store.first_cases_after(connection, last, PAGE):
            for page in await pages_of_cases(connection, roots, REPORTS_AT_ONCE):
                await verify_cases(connection, page, found)
                looked(found)
            last = roots[-1]["id"]
        last = NOBODY
        while loose := await verify_store.loose_reports_after(connection, last, PAGE):
            await verify_loose(connection, loose, found)
            last = loose[-1]
            looked(found)
        for row in await verify_store.booked_for_nobody(connection):
            found.entries += row["entries"]
            found.differences.append(Difference(_about(row), f"{row['kind']}, of what is not there", 0, row["fen"]))
        for row in await verify_store.totals_off(connection):
            name = f"{row['kind']} of {row['bank']} in {row['unit']}"
            found.differences.append(Difference("total", name, row["summed"], row["total"]))
        there = await verify_store.counts(connection)
        looked_at = {"cases": found.cases, "reports": found.reports, "orders": found.orders, "entries": found.entries}
        for name, number in looked_at.items():
            if number != there[name]:
                found.differences.append(Difference("total", f"{name} looked at", there[name], number))
    return found


async def pages_of_cases(connection: AnyConnection, roots: Sequence[Row], most: int) -> list[list[Row]]:
    """Part cases, in their order, into pages that have at most so many reports, or one case."""
    sizes = await verify_store.sizes(connection, [root["id"] for root in roots])
    return list(pages(roots, lambda root: sizes[root["id"]], most))


def pages(those: Sequence[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Part some things, in their order, into pages of at most so many and of at most such a size, or of one thing."""
    page: list[T] = []
    room = most
    for one in those:
        takes = max(1, size(one))
        if page and takes > room:
            yield page
            page, room = [], most
        page.append(one)
        room -= takes
    if page:
        yield page


async def verify_cases(connection: AnyConnection, roots: Sequence[Row], found: Verified) -> None:
    """Compare cases that were not split from another, each with all that were split from it."""
    root_of = {row["id"]: row["id"] for row in roots}
    written = {row["id"]: row["amount_fen"] for row in roots}
    newest = list(root_of)
    while further := await verify_store.split_from(connection, newest):
        root_of |= {row["id"]: root_of[row["split_from"]] for row in further}
        written |= {row["id"]: row["amount_fen"] for row in further}
        newest = [row["id"] for row in further]
    cases: dict[UUID, list[UUID]] = defaultdict(list)
    for case_id, root in root_of.items():
        cases[root].append(case_id)
    reports = _by(await verify_store.reports_of(connection, list(root_of), []), lambda row: root_of[row["case_id"]])
    orders = _by(await verify_store.orders_of(connection, list(root_of)), lambda row: root_of[row["case_id"]])
    report_root = {report["id"]: root for root, those in reports.items() for report in those}
    booked = _by(
        await verify_store.booked(connection, list(root_of), list(report_root)),
        lambda row: root_of[row["case_id"]] if row["case_id"] else report_root[row["report_id"]],
    )
    alike = await _alike(connection, [one for those in reports.values() for one in those])
    found.cases += len(root_of)
    _compare_amounts(written, [one for those in reports.values() for one in those], found)
    for root in roots:
        those = reports.get(root["id"], [])
        given = orders.get(root["id"], [])
        _verify_events(those, given, found)
        due = recount.amounts(those, [row for one in those for row in alike.get(one["alike"], ())], given)
        wanted = _reported(those)
        labels = {report["id"]: report for report in those}
        for (kind, report_id), fen in due.items():
            label = labels[report_id] if report_id else root
            case_id = None if report_id else root["id"]
            wanted[kind, case_id, report_id, label["bank"], label["unit"]] += fen
        _compare(wanted, booked.get(root["id"], []), found)


def _compare_amounts(written: Mapping[UUID, int], reports: Sequence[Row], found: Verified) -> None:
    """Name each case whose amount is not that of its reports."""
    summed: Counter[UUID] = Counter()
    for report in reports:
        summed[report["case_id"]] += report["amount_fen"]
    for case_id, fen in written.items():
        if summed[case_id] != fen:
            found.differences.append(Difference(f"case {case_id}", "amount of its reports", summed[case_id], fen))


async def verify_loose(connection: AnyConnection, report_ids: Sequence[UUID], found: Verified) -> None:
    """Compare reports that are in no case."""
    reports = await verify_store.reports_of(connection, [], report_ids)
    booked = _by(await verify_store.booked(connection, [], report_ids), lambda row: row["report_id"])
    alike = await _alike(connection, reports)
    for report in reports:
        _verify_events([report], [], found)
        wanted = _reported([report])
        for (kind, _), fen in recount.amounts([report], alike.get(report["alike"], ()), []).items():
            wanted[kind, None, report["id"], report["bank"], report["unit"]] += fen
        _compare(wanted, booked.get(report["id"], []), found)


async def _alike(connection: AnyConnection, reports: Sequence[Row]) -> dict[str, list[Row]]:
    names = sorted({report["alike"] for report in reports if report["alike"]})
    return _by(await verify_store.reports_like(connection, names), lambda row: row["alike"])


def _reported(reports: Sequence[Row]) -> Counter[Line]:
    return Counter({("reported", None, one["id"], one["bank"], one["unit"]): one["amount_fen"] for one in reports})


def _compare(wanted: Counter[Line], booked: Sequence[Row], found: Verified) -> None:
    """Name each sum that is not what it must be."""
    rows: Counter[Line] = Counter()
    for row in booked:
        rows[row["kind"], row["case_id"], row["report_id"], row["bank"], row["unit"]] += row["fen"]
        found.entries += row["entries"]
    for line in sorted(wanted.keys() | rows.keys(), key=str):
        if wanted[line] != rows[line]:
            kind, case_id, report_id, bank, unit = line
            about = f"case {case_id}" if case_id else f"report {report_id}"
            what = f"{kind} of {bank} in {unit}"
            found.differences.append(Difference(about, what, wanted[line], rows[line]))


def _verify_events(reports: Sequence[Row], orders: Sequence[Row], found: Verified) -> None:
    """Hold what is written of reports and orders against the events that told of them."""
    found.reports += len(reports)
    found.orders += len(orders)
    for report in reports:
        found.differences += checking.report(report)
    for order in orders:
        found.answers_not_kept += order["answer"] is None and order["feedback_id"] is not None
        found.differences += checking.order(order, orders, found.kept_since)


def _by(rows: Sequence[Row], key: Callable[[Row], K]) -> dict[K, list[Row]]:
    groups: dict[K, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _about(row: Row) -> str:
    return f"case {row['case_id']}" if row["case_id"] else f"report {row['report_id']}"
