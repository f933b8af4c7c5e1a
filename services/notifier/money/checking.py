"""What is written of reports and orders, held against the events that told of them. Pure. Amounts in fen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from services.notifier.money import recount
from shared.events import OrderChanged, VerdictReached
from shared.postgres import Row

ENDED_BY: Final = {
    "released": ("release_stop", "unfreeze"),
    "extended": ("extend_stop",),
    "frozen": ("freeze",),
    "renewed": ("extend_freeze",),
}
"""The orders that end a hold, by what is written of how it ended."""

HOLDS: Final = ("stop", "extend_stop", "freeze", "extend_freeze")
TOLD: Final = ("case_id", "kind", "bank", "amount_fen", "account_level", "acts_on", "term_months", "scope")
"""What an order's event says of it and never changes."""

ANSWERED: Final = ("balance_before_fen", "stopped_fen", "frozen_fen", "returned_fen", "executed_at")

Wrong = tuple[str, object, object]
"""What is not as it must be, as it must be, as it is."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as the events say. `about` is `case …`, `report …`, `order …` or `total`. In fen."""

    about: str
    what: str
    expected: object
    found: object


def report(row: Row) -> Iterator[Difference]:
    """Yield what is written of a report otherwise than its verdict tells. Older reports have no `alike`."""
    if row["verdict"] is None:
        return
    about = f"report {row['id']}"
    try:
        filed = VerdictReached.model_validate_json(row["verdict"]).report
    except ValidationError:
        yield Difference(about, "verdict", "readable", "unreadable")
        return
    told: dict[str, object] = {name: getattr(filed, name) for name in ("bank", "branch", "amount_fen")}
    if row["alike"] is not None:
        told["alike"] = f"{filed.payer_token} {filed.payee_token} {filed.amount_fen}"
        told["observed_at"] = filed.observed_at
    yield from (Difference(about, name, said, row[name]) for name, said in told.items() if row[name] != said)


def order(row: Row, orders: Sequence[Row], kept_since: datetime | None) -> list[Difference]:
    """Return what is written of an order otherwise than its event, its answer, or the other orders of its case tell.

    Every answer since `kept_since` must be there.
    """
    wrong = [*_told(row), *_answered(row, kept_since), *_ended(row, orders)]
    return [Difference(f"order {row['id']}", *one) for one in wrong if one[1] != one[2]]


def _told(row: Row) -> Iterator[Wrong]:
    try:
        event = OrderChanged.model_validate_json(row["event"])
    except ValidationError:
        yield "event", "readable", "unreadable"
        return
    for name in TOLD:
        yield name, getattr(event, name), row[name]
    if row["status"] not in ("proposed", "rejected"):
        yield "status", event.status.value, row["status"]
        yield "expires_at", event.expires_at, row["expires_at"]


def _answered(row: Row, kept_since: datetime | None) -> Iterator[Wrong]:
    answer = recount.said(row)
    if answer is None:
        if row["answer"] is not None:
            yield "the bank's answer", "readable", "unreadable"
        elif row["feedback_id"] is None:
            yield "answered", False, row["status"] in ("executed", "failed")
        elif kept_since is not None and (row["answered_at"] is None or row["answered_at"] >= kept_since):
            yield "the bank's answer", "kept", "missing"
        return
    yield "status", "executed" if answer.result == "success" else "failed", row["status"]
    yield "feedback_id", answer.feedback_id, row["feedback_id"]
    yield "answered_at", answer.received_at, row["answered_at"]
    for name in ANSWERED:
        yield name, getattr(answer, name), row[name]
    if answer.result == "success" and row["kind"] in HOLDS:
        yield "expires_at", recount.lawful_end(row, answer), row["expires_at"]


def _ended(hold: Row, orders: Sequence[Row]) -> Iterator[Wrong]:
    """Yield how a hold must have ended and what is written, where that cannot be."""
    why, at = hold["ended_why"], hold["ended_at"]
    if (why is None) != (at is None) or (at is not None and not _held(hold)):
        yield "how the hold ended", "one that held, when and why", f"{hold['kind']} {hold['status']}, {at}, {why}"
    elif why == "expired":
        yield "how the hold ended", f"expired at {hold['expires_at']}", f"expired at {at}"
    elif _held(hold):
        others = [one for one in orders if one["case_id"] == hold["case_id"] and one["id"] != hold["id"]]
        done = [one for one in others if one["status"] == "executed" and one["executed_at"] is not None]
        if at is None:
            kinds = [kind for kinds in ENDED_BY.values() for kind in kinds]
            by = [one for one in done if one["acts_on"] == hold["id"] and one["kind"] in kinds and _before(one, hold)]
            if by:
                yield "how the hold ended", f"by order {by[0]['id']}", "it holds"
        elif not any(one["kind"] in ENDED_BY[why] and one["executed_at"] == at for one in done):
            yield "how the hold ended", "by an order", f"{why} by none"


def _held(order: Row) -> bool:
    return order["status"] == "executed" and order["kind"] in HOLDS


def _before(order: Row, hold: Row) -> bool:
    return bool(hold["expires_at"] is None or order["executed_at"] < hold["expires_at"])
