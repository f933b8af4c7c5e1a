"""Where the values of a pack's files stand, and faults that point there."""

import re
from dataclasses import dataclass
from typing import Final

import yaml

Place = tuple[str | int, ...]
"""Where a value stands in a file: keys and indexes, as pydantic's `loc`."""

WHOLE: Final = (0, 0)
"""Line and column of a fault that is about a whole value."""

LETTERS: Final = {
    "'": re.compile(r"(?P<letter>''|\S)"),
    '"': re.compile(r"\\[ntrvfNLP_ \t\r\n]|(?P<letter>\\(?:x..|u.{4}|U.{8}|.)|\S)"),
}
"""How one character that is no space is written in a text in quotes."""

LETTER: Final = re.compile(r"(?P<letter>\S)")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a pack, where (line and column from 1), and what to do."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}"


class PackRefusedError(Exception):
    """A pack cannot be used. `faults` says what to mend, all of it at once."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class Positions:
    """The texts and nodes of a pack's files."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, yaml.Node | None]] = {}

    def add(self, file: str, text: str, root: yaml.Node | None) -> None:
        """Remember a file."""
        self._files[file] = text, root

    def fault(self, file: str, place: Place, message: str, hint: str = "", within: tuple[int, int] = WHOLE) -> Fault:
        """Make a fault about a value; `within` are line and column (from 1) in a text value."""
        text, node = self._files.get(file, ("", None))
        for step in place:
            node = _child(node, step) or node
        if node is None:
            return Fault(file, 1, 1, message, hint)
        at = node.start_mark.index
        if isinstance(node, yaml.ScalarNode) and (within != WHOLE or _is_block(node)):
            at = _offset(text, node, within)
        return Fault(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), message, hint)


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]  # type: ignore[no-any-return] # yaml has no types for it
    return None


def _is_block(node: yaml.ScalarNode) -> bool:
    return node.style in {"|", ">"}


def _offset(text: str, node: yaml.ScalarNode, within: tuple[int, int]) -> int:
    """Return where in the file a place of a text value is written: YAML may fold lines and change spaces, no more."""
    line, column = within if within != WHOLE else (1, 1)
    lines = node.value.split("\n")
    before = "".join([*lines[: line - 1], lines[min(line, len(lines)) - 1][: column - 1]])
    begin = node.start_mark.index
    if _is_block(node):
        begin = text.find("\n", begin) + 1
    elif node.style:
        begin += 1
    skip = sum(not letter.isspace() for letter in before)
    end = begin
    for written in LETTERS.get(node.style or "", LETTER).finditer(text, begin, node.end_mark.index):
        if written["letter"] and skip == 0:
            return written.start()
        if written["letter"]:
            skip, end = skip - 1, written.end()
    return end
