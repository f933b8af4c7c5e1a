"""What officers send about a case as a whole: shapes, strict about types and unknown fields."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from services.notifier.cases.requests import Reason, Strict
from shared.fields import SAYS_SOMETHING, STORABLE, described, stripped

UnitCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9-]{1,60}$")]
Reference = Annotated[
    str, StringConstraints(max_length=2000, pattern=r"^(https?://[^\s\x00]+|[A-Za-z0-9][A-Za-z0-9._/:-]*)$")
]
"""An address on the web, or a key of a file store."""
Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=STORABLE),
    AfterValidator(stripped),
    described(pattern=SAYS_SOMETHING),
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Decision(StrEnum):
    """What the police decide about an objection."""

    UPHELD = "upheld"
    REJECTED = "rejected"


class TakingOver(Strict):
    """An officer becomes responsible, and may say why."""

    reason: Reason | None = None


class Transferring(Strict):
    """Another unit is to be in charge."""

    unit: UnitCode
    reason: Reason


class Linking(Strict):
    """Another case has to do with this one."""

    case_id: UUID
    reason: Reason


class Splitting(Strict):
    """These reports are to be a case of their own."""

    report_ids: Annotated[list[UUID], Field(min_length=1, max_length=500)]
    reason: Reason


class Noting(Strict):
    """What an officer writes down about a case."""

    text: Reason


class Attaching(Strict):
    """What lies elsewhere and belongs to the case: where, what it is, and its SHA-256 in hexadecimal."""

    reference: Reference
    title: Title
    sha256: Sha256 | None = None


class Reopening(Strict):
    """The finding is taken back."""

    reason: Reason


class Objecting(Strict):
    """An account holder objects: who, and what they say. An officer records it for them."""

    by: Title
    text: Reason


class Answering(Strict):
    """What the police answer to an objection."""

    decision: Decision
    text: Reason
