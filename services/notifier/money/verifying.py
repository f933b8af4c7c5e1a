"""`lanjie ledger verify`: the ledger against the events it was made of. Reads only; names every difference."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from services.notifier.money import recount, verify_store
from shared.events import VerdictReached
from shared.postgres import AnyConnection, Row

K = TypeVar("K", UUID, str)

PAGE: Final = 500
NOBODY: Final = UUID(int=0)
ENDED_BY: Final = {
    "released": ("release_stop", "unfreeze"),
    "extended": ("extend_stop",),
    "frozen": ("freeze",),
    "renewed": ("extend_freeze",),
}
"""The orders that end a hold, by what is written of how it ended."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as the events say. `about` is `case …`, `report …`, `order …` or `total`. In fen."""

    about: str
    what: str
    expected: object
    found: object


@dataclass(slots=True)
class Verified:
    """What was looked at, and what differs. `answers_not_kept` are orders answered before answers were kept."""

    cases: int = 0
    reports: int = 0
    orders: int = 0
    entries: int = 0
    answers_not_kept: int = 0
    differences: list[Difference] = field(default_factory=list)


Line = tuple[str, UUID | None, UUID | None, str, str]
"""Kind, case, report, bank, unit."""


async def verify(connection: AnyConnection, looked: Callable[[Verified], None] = lambda _: None) -> Verified:
    """Compare all there is as it stands at one moment, page by page; `looked` is told after each page."""
    found = Verified()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        last = NOBODY
        while roots := await verify_store.first_cases_after(connection, last, PAGE):
            await _verify_cases(connection, roots, found)
            last = roots[-1]["id"]
            looked(found)
        last = NOBODY
        while loose := await verify_store.loose_reports_after(connection, last, PAGE):
            await _verify_loose(connection, loose, found)
            last = loose[-1]
            looked(found)
        for row in await verify_store.booked_for_nobody(connection):
            found.entries += row["entries"]
            found.differences.append(Difference(_about(row), f"{row['kind']}, of what is not there", 0, row["fen"]))
        for row in await verify_store.totals_off(connection):
            name = f"{row['kind']} of {row['bank']} in {row['unit']}"
            found.differences.append(Difference("total", name, row["summed"], row["total"]))
    return found


async def _verify_cases(connection: AnyConnection, roots: Sequence[Row], found: Verified) -> None:
    root_of = {row["id"]: row["id"] for row in roots}
    newest = list(root_of)
    while further := await verify_store.split_from(connection, newest):
        root_of |= {row["id"]: root_of[row["split_from"]] for row in further}
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


async def _verify_loose(connection: AnyConnection, report_ids: Sequence[UUID], found: Verified) -> None:
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
        if report["verdict"] is not None:
            filed = VerdictReached.model_validate_json(report["verdict"]).report
            for name in ("bank", "branch", "amount_fen"):
                if getattr(filed, name) != report[name]:
                    about = f"report {report['id']}"
                    found.differences.append(Difference(about, name, getattr(filed, name), report[name]))
    for order in orders:
        answer = recount.said(order)
        if answer is None:
            found.answers_not_kept += order["feedback_id"] is not None
        for name, expected, written in _answers(order):
            if expected != written:
                found.differences.append(Difference(f"order {order['id']}", name, expected, written))
        if wrong := _wrong_end(order, orders):
            found.differences.append(Difference(f"order {order['id']}", "how the hold ended", *wrong))


def _answers(order: Row) -> Iterator[tuple[str, object, object]]:
    """Yield what the bank's answer says, and what is written of it."""
    answer = recount.said(order)
    if answer is not None:
        yield "status", "executed" if answer.result == "success" else "failed", order["status"]
        yield "feedback_id", answer.feedback_id, order["feedback_id"]
        for name in ("balance_before_fen", "stopped_fen", "frozen_fen", "returned_fen", "executed_at"):
            yield name, getattr(answer, name), order[name]
    elif order["feedback_id"] is None:
        yield "answered", False, order["status"] in ("executed", "failed")


def _wrong_end(hold: Row, orders: Sequence[Row]) -> tuple[str, str] | None:
    """Return how a hold must have ended and what is written, where that cannot be."""
    if hold["status"] != "executed" or hold["kind"] not in ("stop", "extend_stop", "freeze", "extend_freeze"):
        return None
    done = [
        one
        for one in orders
        if one["status"] == "executed" and one["case_id"] == hold["case_id"] and one["id"] != hold["id"]
    ]
    why, at = hold["ended_why"], hold["ended_at"]
    if at is None:
        ending = [kind for kinds in ENDED_BY.values() for kind in kinds]
        by = [one for one in done if one["acts_on"] == hold["id"] and one["kind"] in ending and _before(one, hold)]
        return (f"by order {by[0]['id']}", "it holds") if by else None
    if why == "expired":
        expires: datetime | None = hold["expires_at"]
        return None if at == expires else (f"expired at {expires}", f"expired at {at}")
    if any(one["kind"] in ENDED_BY[why] and one["executed_at"] == at for one in done):
        return None
    return "by an order", f"{why} by none"


def _before(order: Row, hold: Row) -> bool:
    return bool(hold["expires_at"] is None or order["executed_at"] < hold["expires_at"])


def _by(rows: Sequence[Row], key: Callable[[Row], K]) -> dict[K, list[Row]]:
    groups: dict[K, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _about(row: Row) -> str:
    return f"case {row['case_id']}" if row["case_id"] else f"report {row['report_id']}"
