"""Cancels a piece of work at its Nth await, as a client that hangs up or a service that stops would."""

import asyncio
from collections.abc import Awaitable, Collection, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class Cancelling(Awaitable[T]):
    """Awaits `work`; asks its own task to end at the awaits with these numbers, counted from 1.

    `late`: only after so many seconds, so that what is awaited may be there already. `awaits` counts how many there
    were.
    """

    def __init__(self, work: Awaitable[T], at: Collection[int], late: float | None = None) -> None:
        self._work = work
        self._at = at
        self._late = late
        self.awaits = 0

    def __await__(self) -> Generator[Any, Any, T]:
        task = asyncio.current_task()
        assert task is not None
        inner = self._work.__await__()
        error: BaseException | None = None
        while True:
            try:
                waited = inner.throw(error) if error else inner.send(None)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            self.awaits += 1
            if self.awaits in self._at:
                self._cancel(task)
            try:
                yield waited
                error = None
            except BaseException as raised:  # noqa: BLE001 - whatever it is belongs to the work
                error = raised

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        if self._late is None:
            task.cancel()
        else:
            asyncio.get_running_loop().call_later(self._late, task.cancel)


async def cancelled(work: Awaitable[T], at: Collection[int], late: float | None = None) -> tuple[bool, int]:
    """Run the work in a task of its own; return whether it was cancelled before its end, and how many awaits it had.

    What it raises besides is raised here.
    """
    cancelling = Cancelling(work, at, late)

    async def run() -> None:
        await cancelling

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    if task.cancelled():
        return True, cancelling.awaits
    task.result()
    return False, cancelling.awaits
