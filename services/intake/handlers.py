"""What banks do at the door: one function each, one transaction each.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.intake import order as orders
from services.intake import order_store, store
from services.intake.disposition import Disposition
from services.intake.order import Feedback
from services.intake.report import fingerprint
from services.intake.store import Filing
from shared.errors import Refusal, conflict, invalid, not_found
from shared.events import DispositionRecorded, OrderChanged
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Connection, Pool
from shared.privacy import Seal, Tokens
from shared.tracing import joined


@dataclass(frozen=True, slots=True)
class Filed:
    """The report is on disk: now, or since an earlier request that said the same."""

    report_id: UUID
    fresh: bool


@dataclass(frozen=True, slots=True)
class KeyReused:
    """The idempotency key belongs to a report that says something else."""


@dataclass(frozen=True, slots=True)
class ReferenceTaken:
    """The bank has already reported this reference, under another key."""

    report_id: UUID


FilingOutcome = Filed | KeyReused | ReferenceTaken


async def file_reports(pool: Pool, filings: Sequence[Filing]) -> tuple[list[FilingOutcome], list[Outgoing]]:
    """Store many reports in one transaction and say of each what became of it, in order."""
    async with pool.acquire() as connection:
        # in one order everywhere, so that replicas given the same posts wait for each other in no circle
        ordered = sorted(filings, key=_order_of_filing)
        promised = [_announcement(filing) for filing in ordered]
        fresh = await store.insert_reports(connection, ordered, promised)
        others = [filing for filing in filings if filing.event.report_id not in fresh]
        stored = await store.reports_in_the_way(connection, others) if others else []
    by_key = {(row["bank"], row["idempotency_key"]): row for row in stored}
    by_reference = {(row["bank"], row["bank_reference"]): row for row in stored}

    def outcome(filing: Filing) -> FilingOutcome:
        if filing.event.report_id in fresh:
            return Filed(filing.event.report_id, fresh=True)
        same_key = by_key.get((filing.event.bank, filing.idempotency_key))
        if same_key is None:
            return ReferenceTaken(by_reference[filing.event.bank, filing.bank_reference]["id"])
        same = same_key["fingerprint"] == filing.fingerprint
        return Filed(same_key["id"], fresh=False) if same else KeyReused()

    return [outcome(filing) for filing in filings], [row for row in promised if row.id in fresh]


def _order_of_filing(filing: Filing) -> tuple[str, str]:
    return filing.event.bank, filing.bank_reference


def _announcement(filing: Filing) -> Outgoing:
    return outgoing(filing.event, filing.event.report_id, traceparent=filing.traceparent, awaits_answer=True)


async def record_disposition(
    pool: Pool, bank: str, report_id: UUID, disposition: Disposition, now: datetime
) -> tuple[UUID, datetime, list[Outgoing]]:
    """Record how a visit ended; the same again gets the first answer, anything else is refused."""
    async with pool.acquire() as connection, connection.transaction():
        report = await store.own_report(connection, bank, report_id)
        if report is None:
            raise not_found("report")
        if errors := disposition.problems(report["amount_fen"]):
            raise invalid(*errors)
        new = new_id()
        amount, outcome = disposition.amount_fen, disposition.outcome
        if not await store.insert_disposition(connection, new, report_id, outcome.value, amount, now):
            first = await store.disposition_of(connection, report_id)
            if (first["outcome"], first["amount_fen"]) != (outcome.value, amount):
                raise conflict("This report already has another disposition; ask the police unit to correct it.")
            return first["id"], first["recorded_at"], []
        event = DispositionRecorded(
            disposition_id=new,
            report_id=report_id,
            payee_token=report["payee_token"],
            outcome=outcome,
            amount_fen=amount,
            recorded_at=now,
        )
        rows = [outgoing(event, new, traceparent=joined(report["traceparent"]), awaits_answer=True)]
        await keep(connection, rows)
    return new, now, rows


@dataclass(frozen=True, slots=True)
class FeedbackAnswer:
    """What became of a feedback: its id, or the refusal to raise once the contradiction is stored."""

    feedback_id: UUID
    rows: list[Outgoing]
    refusal: Refusal | None = None


async def receive_feedback(
    pool: Pool, bank: str, order_id: UUID, feedback: Feedback, privacy: tuple[Tokens, Seal], now: datetime
) -> FeedbackAnswer:
    """Store the bank's answer to an order. The same again gets the first answer; another one is kept for review."""
    tokens, identity = privacy
    digest = fingerprint(feedback, tokens)
    async with pool.acquire() as connection, connection.transaction():
        order, stored = await _own_order(connection, bank, order_id)
        trace = joined(stored)
        if errors := orders.problems(feedback, order, now):
            raise invalid(*errors)
        event = orders.received(feedback, order, new_id(), identity, now)
        if await order_store.insert_feedback(connection, event, digest):
            rows = [outgoing(event, event.feedback_id, traceparent=trace, awaits_answer=True)]
            await keep(connection, rows)
            return FeedbackAnswer(event.feedback_id, rows)
        first = await order_store.feedback_of(connection, order_id)
        if first["fingerprint"] == digest:
            return FeedbackAnswer(first["id"], [])
        other = orders.contradicted(feedback, order, new_id(), now)
        rows = []
        if await order_store.insert_contradiction(connection, other, digest):
            rows = [outgoing(other, other.contradiction_id, traceparent=trace, awaits_answer=True)]
            await keep(connection, rows)
    refusal = conflict(
        "This order already has another feedback; the difference was sent to the police unit for review."
    )
    return FeedbackAnswer(first["id"], rows, refusal)


Traced = tuple[OrderChanged, str]
"""An order and the trace it belongs to."""


async def _own_order(connection: Connection, bank: str, order_id: UUID) -> Traced:
    row = await order_store.order_of(connection, bank, order_id)
    if row is None:
        raise not_found("order")
    return OrderChanged.model_validate_json(row["event"]), row["traceparent"]


async def show_orders(pool: Pool, bank: str, status: str | None, after: UUID | None, most: int) -> list[Traced]:
    """Return a page of a bank's orders and record that it looked at the people in them."""
    async with pool.acquire() as connection, connection.transaction():
        rows = await order_store.orders_of(connection, bank, status, after, most)
        found = [(OrderChanged.model_validate_json(row["event"]), str(row["traceparent"])) for row in rows]
        looked = [order.order_id for order, _ in found]
        await order_store.record_looks(connection, f"bank:{bank}", "order_shown", looked)
    return found


async def show_order(pool: Pool, bank: str, order_id: UUID) -> Traced:
    """Return one order of a bank and record that it looked at the people in it."""
    async with pool.acquire() as connection, connection.transaction():
        order, trace = await _own_order(connection, bank, order_id)
        await order_store.record_looks(connection, f"bank:{bank}", "order_shown", [order_id])
    joined(trace)
    return order, trace
