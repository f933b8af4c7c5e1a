"""intake's share in reconciling: the keeper of reports, dispositions and feedback.

It puts back what rules or notifier lack. It tells notifier which cases and orders it knows.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.intake import tally_store
from services.intake.hearing import question
from shared.events import DispositionOutcome, DispositionRecorded, FeedbackReceived, Tallied
from shared.outbox import Outgoing, keep, outgoing
from shared.postgres import Connection, Row
from shared.share import Compared, Said, Share, nothing
from shared.tally import Count, Gap, Windows


async def _dispositions_alone(connection: Connection, windows: Windows, before: datetime) -> list[Count]:
    """Count dispositions as rules does, which knows no sums."""
    return [replace(one, fen=0) for one in await tally_store.dispositions(connection, windows, before)]


async def _ask(connection: Connection, gaps: Sequence[Gap]) -> list[Outgoing]:
    """Ask about all reports of windows once more."""
    return await _kept(connection, [_question(row) for row in await tally_store.reports_in(connection, gaps)])


async def _ask_unanswered(connection: Connection, gaps: Sequence[Gap]) -> list[Outgoing]:
    """Ask about the reports of windows that lack an answer."""
    return await _kept(connection, [_question(row) for row in await tally_store.unanswered_in(connection, gaps)])


def _question(row: Row) -> Outgoing:
    return question(row["event"], row["traceparent"])


async def _repeat_dispositions(connection: Connection, gaps: Sequence[Gap]) -> list[Outgoing]:
    rows = await tally_store.dispositions_in(connection, gaps)
    return await _kept(connection, [_disposition(row) for row in rows])


def _disposition(row: Row) -> Outgoing:
    event = DispositionRecorded(
        disposition_id=row["id"],
        report_id=row["report_id"],
        payee_token=row["payee_token"],
        outcome=DispositionOutcome(row["outcome"]),
        amount_fen=row["amount_fen"],
        recorded_at=row["recorded_at"],
    )
    return outgoing(event, event.disposition_id, traceparent=row["traceparent"], awaits_answer=True)


async def _repeat_feedback(connection: Connection, gaps: Sequence[Gap]) -> list[Outgoing]:
    rows = await tally_store.feedback_in(connection, gaps)
    events = [FeedbackReceived.model_validate_json(row["event"]) for row in rows]
    return await _kept(connection, [outgoing(event, event.feedback_id, awaits_answer=True) for event in events])


async def _kept(connection: Connection, rows: list[Outgoing]) -> list[Outgoing]:
    await keep(connection, rows)
    return rows


SHARE: Final = Share(
    "intake",
    said=(
        Said(Tallied.CASES, tally_store.cases, slow=True),
        Said(Tallied.ORDERS, tally_store.orders, slow=True),
        Said(Tallied.ANSWERS, nothing),
    ),
    compared=(
        Compared("rules", Tallied.REPORTS, tally_store.reports, _ask),
        Compared("rules", Tallied.DISPOSITIONS, _dispositions_alone, _repeat_dispositions),
        Compared("notifier", Tallied.REPORTS, tally_store.reports_with_money, _ask),
        Compared("notifier", Tallied.DISPOSITIONS, tally_store.dispositions, _repeat_dispositions),
        Compared("notifier", Tallied.FEEDBACK, tally_store.feedback, _repeat_feedback),
        Compared("intake", Tallied.ANSWERS, tally_store.unanswered, _ask_unanswered),
    ),
)
