"""The clients' own log: every operation before it is asked for, and what was answered. The checker trusts it alone."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class State(StrEnum):
    """How an operation ended, as its client knows: `unknown` when no answer came."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `key` names it for ever; `facts` are what was asked; `id` is what a success answered."""

    key: str
    kind: str
    state: State
    facts: dict[str, Any]
    id: str = ""


class Journal:
    """Operations in a file of JSON lines, and the newest state of each in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest: dict[str, Operation] = {}

    def begin(self, kind: str, key: str, facts: dict[str, Any]) -> Operation:
        """Write an operation down before it is asked for: until it is answered, its state is unknown."""
        return self._write(Operation(key, kind, State.UNKNOWN, facts))

    def end(self, operation: Operation, state: State, answered_id: str = "") -> Operation:
        """Write down how it ended."""
        return self._write(Operation(operation.key, operation.kind, state, operation.facts, answered_id))

    def of(self, kind: str, *states: State) -> list[Operation]:
        """Return the operations of a kind that are in one of these states (all, if none is named)."""
        return [one for one in self._newest.values() if one.kind == kind and (not states or one.state in states)]

    def __iter__(self) -> Iterator[Operation]:
        """Go over all operations."""
        return iter(list(self._newest.values()))

    def __len__(self) -> int:
        """Count all operations."""
        return len(self._newest)

    def _write(self, operation: Operation) -> Operation:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(operation), ensure_ascii=False) + "\n")
        self._newest[operation.key] = operation
        return operation
