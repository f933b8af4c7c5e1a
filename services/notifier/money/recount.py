"""What each yuan must have turned out to be, counted anew from the events; shares no code with the ledger.

It is written the plainest way, one rule after the other as docs/ledger.md states them, so that a mistake there and
a mistake here are not the same one. Amounts in fen.
"""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import ValidationError

from shared.events import FeedbackReceived
from shared.postgres import Row

Money = dict[tuple[str, UUID | None], int]
"""Amounts by kind, and by report where they are one report's."""


@dataclass(slots=True)
class Sent:
    """One transfer: what was reported of it, and what became of that at the counters."""

    reports: list[Row] = field(default_factory=list)
    amount: int = 0
    averted: int = 0
    averted_report: UUID | None = None
    gone: int = 0
    gone_report: UUID | None = None


def said(order: Row) -> FeedbackReceived | None:
    """Return the bank's answer as it came, where it was kept and can be read."""
    if order["answer"] is None:
        return None
    try:
        return FeedbackReceived.model_validate_json(order["answer"])
    except ValidationError:
        return None


def amounts(reports: Sequence[Row], alike: Iterable[Row], orders: Sequence[Row]) -> Money:
    """Return what must be booked of a case's or a loose report's money, apart from what was reported."""
    own = {report["id"] for report in reports}
    transfers = [one for one in _transfers([*reports, *alike]) if any(report["id"] in own for report in one.reports)]
    money: Money = defaultdict(int)
    gone = 0
    for transfer in transfers:
        if transfer.averted_report in own:
            money["averted", transfer.averted_report] += transfer.averted
        if transfer.gone_report in own:
            gone += transfer.gone
    left = _room(transfers, orders)
    for account in _accounts(orders):
        stopped, frozen, returned, held = _account(account, transfers, left)
        left -= stopped
        money["stopped", None] += stopped
        money["frozen", None] += frozen
        money["returned", None] += returned
        money["released", None] += stopped - held - returned
    money["lost", None] = max(gone - money["stopped", None], 0)
    return money


def _transfers(reports: Iterable[Row]) -> list[Sent]:
    """Two branches that saw the same payer, payee and amount within ten minutes saw one transfer."""
    waiting = sorted({report["id"]: report for report in reports}.values(), key=lambda one: str(one["id"]))
    waiting.sort(key=lambda one: one["observed_at"].timestamp() if one["observed_at"] else 0)
    by_name: dict[object, list[Row]] = defaultdict(list)
    for report in waiting:
        by_name[report["alike"] or report["id"]].append(report)
    return [transfer for those in by_name.values() for transfer in _transfers_of(those)]


def _transfers_of(waiting: Sequence[Row]) -> list[Sent]:
    """Return the transfers of reports of one payer, payee and amount, which come in the order of time."""
    found = []
    while waiting:
        first, rest = waiting[0], []
        transfer = Sent(reports=[first])
        for report in waiting[1:]:
            if report["observed_at"] - first["observed_at"] <= timedelta(minutes=10) and report["branch"] not in [
                one["branch"] for one in transfer.reports
            ]:
                transfer.reports.append(report)
            else:
                rest.append(report)
        _how_it_ended(transfer)
        found.append(transfer)
        waiting = rest
    return found


def _how_it_ended(transfer: Sent) -> None:
    """What has gone was not averted, whoever said so."""
    for report in transfer.reports:
        transfer.amount = max(transfer.amount, report["amount_fen"])
        if report["outcome"] == "already_sent" and report["disposition_fen"] > transfer.gone:
            transfer.gone, transfer.gone_report = report["disposition_fen"], report["id"]
        if report["outcome"] == "cancelled" and report["disposition_fen"] > transfer.averted:
            transfer.averted, transfer.averted_report = report["disposition_fen"], report["id"]
    transfer.averted = min(transfer.averted, transfer.amount - transfer.gone)


def lawful_end(hold: Row, answer: FeedbackReceived) -> datetime | None:
    """When a hold must be over: 48 hours or its term after the bank executed it, or earlier where the bank says so."""
    at = answer.executed_at
    if at is None:
        return None
    if hold["kind"] in ("stop", "extend_stop"):
        end = min(at, hold["bank_stopped_at"] or at) + timedelta(hours=48)
    else:
        years, month = divmod(at.month - 1 + (hold["term_months"] or 6), 12)
        last = monthrange(at.year + years, month + 1)[1]
        end = at.replace(year=at.year + years, month=month + 1, day=min(at.day, last))
    return min(end, answer.expires_at or end)


def _accounts(orders: Sequence[Row]) -> list[list[Row]]:
    """Return the executed orders account by account, the nearest to the customer first."""
    by_account: dict[str, list[Row]] = defaultdict(list)
    for order in orders:
        if order["status"] == "executed":
            by_account[order["payee_token"]].append(order)
    return sorted(by_account.values(), key=lambda those: min((one["account_level"], str(one["id"])) for one in those))


def _covered(order: Row, transfers: Sequence[Sent]) -> list[Sent]:
    return [one for one in transfers if {report["id"] for report in one.reports} & set(order["covers"])]


def _room(transfers: Sequence[Sent], orders: Sequence[Row]) -> int:
    """What can lie on accounts: what was not averted, and what an officer ordered beyond the reports."""
    beyond = 0
    for order in orders:
        if order["status"] == "executed" and order["kind"] in ("stop", "extend_stop") and order["account_level"] == 1:
            reported = sum(one.amount for one in _covered(order, transfers))
            beyond = max(beyond, order["amount_fen"] - reported)
    return beyond + sum(one.amount - one.averted for one in transfers)


def _answered(order: Row, name: str, by_id: dict[UUID, Row]) -> int:
    """What the bank says it did; where it names no amount, as much as the order it goes on with."""
    answer = said(order)
    fen: int | None = getattr(answer, name) if answer else order[name]
    if fen is not None:
        return fen
    before = by_id.get(order["acts_on"])
    if before is None or order["kind"] not in ("extend_stop", "freeze", "extend_freeze"):
        return 0
    return _answered(before, "frozen_fen" if "freeze" in before["kind"] else "stopped_fen", by_id)


def _account(orders: Sequence[Row], transfers: Sequence[Sent], room: int) -> tuple[int, int, int, int]:
    """Return what was stopped, frozen and returned on one account, and what is still held there."""
    by_id = {order["id"]: order for order in orders}
    stopped = frozen = returned = stop_holds = freeze_holds = 0
    is_frozen = False
    for order in orders:
        if order["kind"] in ("stop", "extend_stop"):
            fen = _stop(order, transfers, _answered(order, "stopped_fen", by_id))
            stopped = max(stopped, fen)
            if order["ended_at"] is None:
                stop_holds = max(stop_holds, fen)
        elif order["kind"] in ("freeze", "extend_freeze"):
            fen = min(_answered(order, "frozen_fen", by_id), order["amount_fen"])
            frozen = max(frozen, fen)
            if order["ended_at"] is None:
                freeze_holds, is_frozen = max(freeze_holds, fen), True
        elif order["kind"] == "return_funds":
            returned += min(_answered(order, "returned_fen", by_id), order["amount_fen"])
    stopped = min(stopped, room)
    frozen = min(frozen, stopped)
    returned = min(returned, frozen)
    held = min(freeze_holds, frozen - returned) if is_frozen else min(stop_holds, stopped - returned)
    return stopped, frozen, returned, held


def _stop(order: Row, transfers: Sequence[Sent], fen: int) -> int:
    """No more than the bank says, than was ordered, than lay there for this case, than can have left the counter."""
    answer = said(order)
    balance = answer.balance_before_fen if answer else order["balance_before_fen"]
    there = (fen if balance is None else balance) - order["held_elsewhere_fen"]
    fen = min(fen, order["amount_fen"], there)
    if order["account_level"] == 1:
        covered = _covered(order, transfers)
        reported = max(order["amount_fen"], sum(one.amount for one in covered))
        fen = min(fen, reported - sum(one.averted for one in covered))
    return max(fen, 0)
