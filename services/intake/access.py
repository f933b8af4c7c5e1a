"""How often a bank may knock."""

import math
import time
from http import HTTPStatus

from shared.errors import Refusal


class Allowance:
    """A token bucket a bank: so many reports a second, and so many at once."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left: dict[str, tuple[float, float]] = {}

    def charge(self, bank: str, posts: int) -> None:
        """Take `posts` from the bank's bucket; refuse where there are too few left.

        A full bucket is enough for a batch of any size, which is then paid off: no batch is refused for ever.
        """
        now = time.monotonic()
        left, then = self._left.get(bank, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._per_second)
        needed = min(posts, self._burst)
        if left < needed:
            self._left[bank] = (left, now)
            wait = max(1, math.ceil((needed - left) / self._per_second))
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"This bank may post {self._per_second:g} reports a second; send this again in {wait} s.",
                headers={"Retry-After": str(wait)},
            )
        self._left[bank] = (left - posts, now)
