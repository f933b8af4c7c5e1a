"""How a consumer gets on: what readiness, metrics and the watchdog ask of it."""

import asyncio
from dataclasses import dataclass
from typing import Final

READY_AGAIN_AFTER: Final = 0.25
"""The part of the watchdog's patience after which a consumer that gets nothing done is not ready."""
STATES: Final = ("ok", "standby", "joining", "unreachable", "stuck", "halted")


@dataclass(slots=True)
class Progress:
    """Whether a consumer is in its group, and gets on. `limit` is the watchdog's patience in seconds."""

    limit: float = 60.0
    joined: bool = False
    """It is a member of its group and knows its partitions; there may be none for it."""
    assigned: bool = False
    reachable: bool = False
    halted: bool = False
    lag: int = 0
    oldest_at: float = 0.0
    """When the oldest record of the newest batch came onto its topic, in seconds since 1970."""
    handled: int = 0
    ahead: int = 0
    """How many of the handled records the express lane took ahead of a backlog."""
    trouble: str = ""
    """What keeps it from working, as of the last probe: `stuck`, `joining`, `unreachable`, or nothing."""
    since: float = 0.0
    """Event-loop time since which there is that trouble."""

    def note(self, trouble: str) -> None:
        """Note the trouble that a probe found, or that there is none."""
        if trouble != self.trouble:
            self.trouble, self.since = trouble, asyncio.get_running_loop().time()

    def troubled_seconds(self) -> float:
        """How long there has been the same trouble."""
        return asyncio.get_running_loop().time() - self.since if self.trouble else 0.0

    def stuck_seconds(self) -> float:
        """How long records have been waiting without one being handled."""
        return self.troubled_seconds() if self.trouble == "stuck" else 0.0

    def state(self) -> str:
        """Return one word for the health document."""
        if self.halted:
            return "halted"
        if self.stuck_seconds() > self.limit * READY_AGAIN_AFTER:
            return "stuck"
        if not self.reachable:
            return "unreachable"
        if not self.joined:
            return "joining"
        return "ok" if self.assigned else "standby"
