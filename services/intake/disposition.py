"""The disposition: how the visit to the counter ended."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from services.intake.report import Strict
from shared.errors import FieldProblem
from shared.events import DispositionOutcome
from shared.money import Fen


class Disposition(Strict):
    """What the teller saw happen. `amount_fen` is the part of the reported amount it happened to."""

    outcome: DispositionOutcome
    amount_fen: Fen

    def problems(self, reported_fen: int) -> list[FieldProblem]:
        """Return what keeps it from being accepted for a report of `reported_fen`."""
        if self.amount_fen > reported_fen:
            return [FieldProblem(field="amount_fen", message="is more than was reported")]
        return []


class DispositionReceipt(BaseModel):
    """The answer to a disposition."""

    id: UUID
    report_id: UUID
    status: Literal["recorded"] = "recorded"
    recorded_at: datetime
