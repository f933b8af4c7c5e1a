"""Conditions: entries of the lists that force or forbid an alert whatever the rules say. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID


class Subject(StrEnum):
    """Whom an entry is about: the account that is paid, or the customer (account or identity number)."""

    PAYEE = "payee"
    PAYER = "payer"


class ConditionKind(StrEnum):
    """What an entry does, in order of precedence: the first that applies decides."""

    NON_OVERRIDABLE_BLOCK = "non_overridable_block"
    OVERRIDE = "override"
    OVERRIDABLE_BLOCK = "overridable_block"


PRECEDENCE: Final = {kind: place for place, kind in enumerate(ConditionKind)}


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry in force. A block makes an alert, an override (trusted) forbids one."""

    id: UUID
    subject: Subject
    kind: ConditionKind
    scam_type: str | None
    reason: str
    author: str
    starts_at: datetime
    expires_at: datetime | None


def applying(conditions: Iterable[Condition]) -> Condition | None:
    """Return the condition that decides: the highest in precedence, and the oldest of its kind."""
    return min(conditions, key=lambda one: (PRECEDENCE[one.kind], one.starts_at, one.id), default=None)
