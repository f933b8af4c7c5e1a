"""The newest alerts of the stream in memory, as they go over the wire. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice


@dataclass(frozen=True, slots=True)
class Frame:
    """An alert in its place on the stream; `text` is its server-sent event, encoded once for all who read it."""

    position: int
    path: str
    created_at: datetime
    text: bytes


def frame(position: int, path: str, created_at: datetime, facts: str) -> Frame:
    """Encode an alert; `facts` is JSON text on one line."""
    return Frame(position, path, created_at, f"id: {position}\nevent: alert\ndata: {facts}\n\n".encode())


def subtrees(path: str) -> list[str]:
    """Return the subtrees a unit is in, from the top: /SZ/SZ-LH/ is in /, /SZ/ and /SZ/SZ-LH/."""
    return [path[: end + 1] for end, letter in enumerate(path) if letter == "/"]


class Tail:
    """All alerts after the position `since`, up to `newest`: at least `kept` once there were so many, at most twice."""

    def __init__(self, kept: int) -> None:
        self.since = 0
        self.newest = 0
        self._kept = kept
        self._frames: list[Frame] = []

    def begin(self, since: int) -> None:
        """Begin, while still empty, after a position."""
        self.since = self.newest = since

    def append(self, frames: Sequence[Frame]) -> None:
        """Take in what follows the newest, in order; forget the oldest where there are too many."""
        self._frames += frames
        self.newest = self._frames[-1].position if self._frames else self.newest
        if len(self._frames) > 2 * self._kept:
            self.since = self._frames[-self._kept - 1].position
            del self._frames[: -self._kept]

    def after(self, position: int, path: str, most: int) -> list[Frame]:
        """Return a subtree's alerts after a position that is not before `since`, in order."""
        rest = self._frames[bisect_right(self._frames, position, key=lambda one: one.position) :]
        return list(islice((one for one in rest if one.path.startswith(path)), most))
