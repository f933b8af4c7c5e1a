"""The parts of an expression, and what of them would cost too much: looked at before the engine sees any."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

MOST_CHARACTERS: Final = 1_000
MOST_TOKENS: Final = 250
LONGEST_TEXT: Final = 100
"""Characters of a text in quotes: what is searched for in what stays cheap, however they are repeated."""

QUOTES: Final = frozenset({"'", '"'})
LOOPS: Final = frozenset({"all", "exists", "exists_one"})
FUNCTIONS: Final = LOOPS | {"size", "contains", "startsWith", "endsWith"}
REPLACEMENTS: Final = {
    "matches": "declare a phrase and use says.<phrase>",
    "map": "use exists() or all()",
    "filter": "use exists() or all()",
}
TOKEN: Final = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\s*\.\s*[A-Za-z_][A-Za-z0-9_]*)*)
      | (?P<number>\d[\w.]*)
      | (?P<comment>//[^\n]*)
      | (?P<space>\s+)
      | (?P<sign>&&|\|\||[<>=!]=|.)""",
    re.VERBOSE | re.DOTALL,
)


class ExpressionError(Exception):
    """An expression is refused: line and column (from 1) within it, why, and what to do instead."""

    def __init__(self, message: str, line: int = 1, column: int = 1, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.hint = message, line, column, hint


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression: its kind (`name`, `text`, `number`, `sign`), text and offset."""

    kind: str
    text: str
    start: int


def tokenised(source: str) -> tuple[Token, ...]:
    """Split an expression; comments and spaces are left out."""
    return tuple(
        Token(found.lastgroup, found.group(), found.start())
        for found in TOKEN.finditer(source)
        if found.lastgroup and found.lastgroup not in {"space", "comment"}
    )


def refuse_dear(source: str, tokens: Sequence[Token]) -> None:
    """Raise `ExpressionError` where an expression is long, calls what is not offered, or loops within a loop."""
    if len(source) > MOST_CHARACTERS or len(tokens) > MOST_TOKENS:
        raise ExpressionError(
            f"the condition costs too much: {len(source)} characters and {len(tokens)} parts, of at most"
            f" {MOST_CHARACTERS} and {MOST_TOKENS}",
            hint="split it into several rules or a table",
        )
    _refuse_texts(source, tokens)
    loops: list[int] = []
    depth = 0
    for token, following in zip_longest(tokens, tokens[1:]):
        if token.text in {"(", ")"}:
            depth += 1 if token.text == "(" else -1
            loops = [at for at in loops if at < depth] if token.text == ")" else loops
        elif token.kind == "name" and following and following.text == "(":
            called = re.split(r"\s*\.\s*", token.text)[-1]
            if called not in FUNCTIONS:
                message = f"the function {called}() is not offered; there are {', '.join(sorted(FUNCTIONS))}"
                raise refused_at(source, token.start, message, REPLACEMENTS.get(called, ""))
            if called in LOOPS:
                if loops:
                    raise refused_at(source, token.start, "the condition costs too much: a loop inside a loop")
                loops.append(depth)


def _refuse_texts(source: str, tokens: Sequence[Token]) -> None:
    """Refuse what is no plain text in quotes: read differently here and by the engine, it could hide a loop."""
    end = -1
    for token in tokens:
        if token.kind == "text":
            if token.text[0] not in QUOTES or token.start == end:
                raise refused_at(
                    source, token.start, "a text has a prefix or several quotes", "write it in plain quotes"
                )
            if len(token.text) > LONGEST_TEXT + 2:
                raise refused_at(source, token.start, f"a text has more than {LONGEST_TEXT} characters")
            end = token.start + len(token.text)
        elif token.text in QUOTES:
            raise refused_at(source, token.start, "a text has no closing quote")


def refused_at(source: str, offset: int, message: str, hint: str = "") -> ExpressionError:
    """Return the refusal of what stands at an offset."""
    before = source[:offset]
    return ExpressionError(message, before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1, hint)
