"""What the police's use cases work with: the database, the keys of personal data, the rules of the house."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from services.notifier.clock.clock import Deadlines
from services.notifier.clock.house_time import wall_time
from shared.postgres import Pool
from shared.privacy import Seal, Tokens


@dataclass(frozen=True, slots=True)
class Office:
    """`deadlines()` are the rules as they are now, `now()` is the time all replicas go by.

    Above `second_officer_above_fen` a second officer approves stops.
    """

    pool: Pool
    identity: Seal
    tokens: Tokens
    deadlines: Callable[[], Deadlines] = Deadlines
    second_officer_above_fen: int = 100_000_000
    now: Callable[[], Awaitable[datetime]] = wall_time
