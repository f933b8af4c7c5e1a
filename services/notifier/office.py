"""What the police's use cases work with: the database, the keys of personal data, the rules of the house."""

from collections.abc import Callable
from dataclasses import dataclass

from services.notifier.clock.clock import Deadlines
from shared.postgres import Pool
from shared.privacy import Seal, Tokens


@dataclass(frozen=True, slots=True)
class Office:
    """`deadlines()` are the rules as they are now; above `second_officer_above_fen` a second officer approves stops."""

    pool: Pool
    identity: Seal
    tokens: Tokens
    deadlines: Callable[[], Deadlines] = Deadlines
    second_officer_above_fen: int = 100_000_000
