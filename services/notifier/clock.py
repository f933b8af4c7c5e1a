"""The clock: how long each stage of a case may take.

Money layered through further accounts is usually gone within the hour, so the machine's part is counted
in seconds and the people's in minutes.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The longest each stage should take. Orders and feedback get theirs with the escalation that watches them."""

    acknowledge: timedelta = timedelta(seconds=60)


STOP_LASTS: Final = timedelta(hours=48)
"""A stop payment lasts 48 hours from the moment the bank stopped (银发〔2016〕86号)."""
