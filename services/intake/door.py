"""The banks' door: what its routes share."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from starlette.requests import Request

from services.intake import report
from services.intake.access import Allowance
from services.intake.backlog import Backlog
from services.intake.desk import FilingDesk, VerdictBoard
from services.intake.handlers import Filed, FilingOutcome, KeyReused, ReferenceTaken
from services.intake.metrics import Metrics
from services.intake.report import Privacy, Reference, Report
from services.intake.store import Filing
from shared.access import Doorkeeper
from shared.errors import FieldProblem, Refusal, conflict, invalid
from shared.outbox import new_id
from shared.postgres import Pool
from shared.relay import Relay

IDEMPOTENCY_KEY: Final = re.compile(r'([A-Za-z0-9._:/+=-]{1,128})|"([A-Za-z0-9._:/+=-]{1,128})"')


@dataclass(slots=True)
class Door:
    """What the routes need. `reference` is exchanged for a newer one while the service runs."""

    pool: Pool
    relay: Relay
    banks: Doorkeeper[str]
    allowance: Allowance
    backlog: Backlog
    desk: FilingDesk
    board: VerdictBoard
    privacy: Privacy
    reference: Reference
    metrics: Metrics


async def entered(request: Request) -> tuple[Door, str]:
    """Return the open door and the bank that shows its key."""
    door: Door = request.app.state.door
    return door, await door.banks.holder(request)


def now() -> datetime:
    """Return the time of the door's clock."""
    return datetime.now(UTC)


def filing(door: Door, bank: str, key: str, body: Report, traceparent: str) -> Filing:
    """Turn a well-formed report into what is stored, or refuse it."""
    at = now()
    if errors := report.problems(body, bank, door.reference, at):
        raise invalid(*errors)
    event = report.filed(body, new_id(), bank, door.privacy, at)
    return Filing(key, body.bank_reference, report.fingerprint(body, door.privacy.tokens), event, traceparent)


def accepted(door: Door, bank: str, outcome: FilingOutcome) -> UUID:
    """Return the id of the stored report, or refuse what contradicts it."""
    match outcome:
        case Filed(report_id, fresh):
            (door.metrics.accepted if fresh else door.metrics.repeated).labels(bank).inc()
            return report_id
        case KeyReused():
            raise invalid(FieldProblem(field="Idempotency-Key", message="was used for a report that says otherwise"))
        case ReferenceTaken(report_id):
            raise conflict(
                "This bank_reference was reported before, under another Idempotency-Key.", existing_id=str(report_id)
            )


def idempotency_key(text: str) -> str:
    """Return the key that a client gave, bare or in quotes."""
    match = IDEMPOTENCY_KEY.fullmatch(text)
    if match is None:
        raise Refusal(
            HTTPStatus.BAD_REQUEST, "The Idempotency-Key must be 1 to 128 letters, digits or any of . _ : / + = -"
        )
    return match.group(1) or match.group(2)
