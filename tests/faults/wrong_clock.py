"""`python -m tests.faults.wrong_clock 3600 services.notifier`: a module run by a clock that is so many seconds wrong.

What a process reads as the time is wrong, as it is where nobody set the machine's clock; how long something takes
(`time.monotonic`) is right. The clock is moved before anything else of the process is imported.
"""

import datetime as dt
import runpy
import sys
import time
from typing import Any, Self

RIGHT = dt.datetime
right_time = time.time


class _AnyDatetime(type):
    """Times that C code has made are times as well."""

    def __instancecheck__(cls, thing: object) -> bool:
        return isinstance(thing, RIGHT)


def move(seconds: float) -> None:
    """Move this process's clock."""
    by = dt.timedelta(seconds=seconds)

    class Moved(RIGHT, metaclass=_AnyDatetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:  # noqa: ANN401 - the class it stands in for
            return RIGHT.now(tz) + by

        @classmethod
        def utcnow(cls) -> Any:  # noqa: ANN401
            return RIGHT.now(dt.UTC).replace(tzinfo=None) + by

        @classmethod
        def today(cls) -> Self:
            return cls.now()  # type: ignore[no-any-return]

    dt.datetime = Moved  # type: ignore[misc]
    time.time = lambda: right_time() + seconds


if __name__ == "__main__":
    move(float(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
