"""Runs a service again and again, and ends it at a step that is named: `python -m tests.faults.crash intake FILE`.

A step is before or after something that reaches beyond the process: an SQL statement, a commit, a send, an offset
commit, an HTTP call. For each line on standard input one life begins, which ends when it first reaches the step the
line names (an empty line names none). The process id of a life, and the code it ended with, are lines on standard
output. Each step that is reached for the first time in a life is noted in FILE.

The libraries are wrapped here, from outside; the service itself knows nothing of it. `DETOURS=9092:9192,…` leads
connections to one port of this machine to another one, since a broker names itself the address it is dialled at.
"""

import os
import runpy
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import aiokafka
import asyncpg
import httpx2
import uvloop

CODE: Final = 137
LETTERS: Final = 90


class Steps:
    """Notes the steps of one life, and ends it at one of them."""

    def __init__(self, notes: Path, last: str) -> None:
        self._notes = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._last = last
        self._seen: set[str] = set()

    def reached(self, step: str) -> None:
        """Note it, and end the process if this is the last step it is to reach."""
        if step not in self._seen:
            self._seen.add(step)
            os.write(self._notes, f"{step}\n".encode())
        if step == self._last:
            os.write(self._notes, f"ended {step}\n".encode())
            os._exit(CODE)


def main() -> None:
    """Have one life after the other until standard input ends."""
    service, notes = sys.argv[1], Path(sys.argv[2])
    import_module(f"services.{service}.app")  # once for all lives: it takes longer than most of them
    life = 0

    def end(_signal: int, _frame: object) -> None:
        if life:
            os.kill(life, signal.SIGTERM)
            os.waitpid(life, 0)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    for line in sys.stdin:
        life = os.fork()
        if life == 0:
            _live(service, Steps(notes, line.strip()))
        print(life, flush=True)  # noqa: T201 - the protocol
        _, status = os.waitpid(life, 0)
        life = 0
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def _live(service: str, steps: Steps) -> None:
    """Be the service, as `python -m services.<service>` is."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what it says belongs into the log, not into the protocol
    _wrap_database(steps.reached)
    _wrap_broker(steps.reached)
    _wrap_http(steps.reached)
    _lead_astray(os.environ.get("DETOURS", ""))
    try:
        runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)
    finally:
        os._exit(0)


def _around(owner: Any, name: str, reached: Callable[[str], None], named: Callable[..., str | None]) -> None:  # noqa: ANN401
    """Reach a step before and one after each call of a coroutine method."""
    original = getattr(owner, name)

    async def wrapped(self: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        step = named(self, *args, **more)
        if step is None:
            return await original(self, *args, **more)
        reached(f"before {step}")
        result = await original(self, *args, **more)
        reached(f"after {step}")
        return result

    setattr(owner, name, wrapped)


def _wrap_database(reached: Callable[[str], None]) -> None:
    """Statements are named by their first words; the ends of a transaction by its last statement."""
    latest: dict[int, str] = {}

    def statement(connection: Any, query: str, *_: object, **__: object) -> str:  # noqa: ANN401
        words = " ".join(query.split())[:LETTERS]
        latest[id(connection)] = words
        return words

    def plain(connection: Any, query: str, *args: object, **more: object) -> str | None:  # noqa: ANN401
        if args:
            return None  # it becomes a statement below
        if query in ("COMMIT;", "ROLLBACK;"):
            return f"{query} {latest.get(id(connection), '')}"
        return statement(connection, query, **more)

    _around(asyncpg.Connection, "_execute", reached, statement)
    _around(asyncpg.Connection, "execute", reached, plain)
    _around(asyncpg.Connection, "executemany", reached, statement)


def _wrap_broker(reached: Callable[[str], None]) -> None:
    """A send is over when the broker has acknowledged it, which is later than the call that hands it over."""
    original = aiokafka.AIOKafkaProducer.send_batch

    async def send_batch(self: Any, batch: Any, topic: str, *, partition: int) -> Any:  # noqa: ANN401
        reached(f"before send to {topic}")
        future = await original(self, batch, topic, partition=partition)
        reached(f"in the midst of send to {topic}")
        future.add_done_callback(lambda _: reached(f"after send to {topic}"))
        return future

    aiokafka.AIOKafkaProducer.send_batch = send_batch
    _around(aiokafka.AIOKafkaConsumer, "commit", reached, lambda *_, **__: "commit of offsets")


def _wrap_http(reached: Callable[[str], None]) -> None:
    def called(_client: object, request: httpx2.Request, **_: object) -> str:
        return f"HTTP {request.method}"

    _around(httpx2.AsyncClient, "send", reached, called)


def _lead_astray(text: str) -> None:
    pairs = (pair.split(":") for pair in text.split(",") if pair)
    detours = {int(asked): int(led_to) for asked, led_to in pairs}
    original = uvloop.Loop.create_connection

    async def create_connection(self: Any, factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:  # noqa: ANN401
        return await original(self, factory, host, detours.get(port, port), **more)

    setattr(uvloop.Loop, "create_connection", create_connection)  # noqa: B010 - mypy forbids to assign it


if __name__ == "__main__":
    main()
