"""CEL, the Common Expression Language, behind one small module: typed at load, bounded at run time.

Names are declared with their types, so an unknown name or a comparison of a number with a text is refused
with line and column. What is left is bounded before it runs: an expression is short, calls only the few
functions below, and its loops run over literal lists and never inside each other.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cel_expr_python import cel

from services.rules.features import Value
from services.rules.pack.tokens import LOOPS, Token, refuse_dear, refused_at, tokenised
from services.rules.pack.tokens import ExpressionError as ExpressionError

MOST_IN_ONE_CALL: Final = 200
MOST_CHARACTERS_IN_ONE_CALL: Final = 90_000
"""Conditions evaluated by one call; the engine refuses sources of more than 100,000 characters."""

LISTS: Final = {bool: "bools_", int: "ints_", str: "texts_"}
"""What the engine is given: a list of the values of each type."""

TYPES: Final = {bool: cel.Type.BOOL, int: cel.Type.INT, str: cel.Type.STRING}
ENGINE_SAYS: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that was found to be a cheap, well-typed condition, and the names it uses."""

    source: str
    names: frozenset[str]
    tokens: tuple[Token, ...]


class Language:
    """The names an expression may use, with their types, taken from their defaults."""

    def __init__(self, names: Mapping[str, Value]) -> None:
        self.names = names
        self._env = cel.NewEnv(variables={name: TYPES[type(default)] for name, default in names.items()})
        self._lists_env = cel.NewEnv(variables={name: cel.Type.List(TYPES[kind]) for kind, name in LISTS.items()})
        self._slots = _slots(self._by_type(names))

    def condition(self, source: str) -> Condition:
        """Check an expression. Raises `ExpressionError` where it is not a cheap condition over known names."""
        tokens = tokenised(source)
        if not tokens:
            raise ExpressionError("the condition is empty")
        refuse_dear(source, tokens)
        self._refuse_hidden(source, tokens)
        self._compile(source, tokens)
        names = frozenset(name for token in tokens if (name := self._name(token)))
        if not names:
            raise ExpressionError("the condition uses no name, so it is always the same")
        return Condition(source, names, tokens)

    def _name(self, token: Token) -> str | None:
        """Return the declared name a token starts with: `transfer.channel.contains` calls on one."""
        if token.kind != "name":
            return None
        parts = re.sub(r"\s", "", token.text).split(".")
        return next((name for end in range(len(parts), 0, -1) if (name := ".".join(parts[:end])) in self.names), None)

    def _compile(self, source: str, tokens: Sequence[Token]) -> cel.Expression:
        try:
            expression = self._env.compile(source)
            self._lists_env.compile(_listed([self._placed(source, tokens, self._slots)]))
        except (RuntimeError, TypeError) as error:  # the latter for half of a character
            raise self._refusal(str(error), source) from None
        if expression.return_type() != cel.Type.BOOL:
            raise ExpressionError(
                f"the condition is of type {expression.return_type().name().lower()}, not bool",
                hint="compare it with something",
            )
        return expression

    def _refusal(self, said: str, source: str) -> ExpressionError:
        if "ecursion" in said:
            return ExpressionError("the condition costs too much: it is nested too deeply")
        found = ENGINE_SAYS.search(said)
        if not found:
            return ExpressionError(said.split("\n", maxsplit=1)[0])
        line, column = max(1, int(found[1])), max(1, int(found[2]))
        message = re.split(r" expecting \{| \(in container| \[INVALID", found[3])[0]
        unknown = re.search(r"undeclared reference to '([^']*)'", message)
        if not unknown:
            return ExpressionError(message, line, column)
        near = difflib.get_close_matches(unknown[1], self.names, n=1)
        hint = f"did you mean {near[0]}?" if near else "`lanjie rules names` lists what there is"
        return ExpressionError(f"unknown name {unknown[1]}", line, _word_start(source, line, column), hint)

    def together(self, conditions: Sequence[Condition]) -> "Together":
        """Make conditions ready to be evaluated together.

        Handing over a value costs more than comparing it. So the engine gets three lists, of the values that
        are used, and each name becomes a place in one of them.
        """
        used = sorted({name for one in conditions for name in one.names})
        lists = self._by_type(used)
        slots = _slots(lists)
        pages = _pages([self._placed(one.source, one.tokens, slots) for one in conditions])
        return Together(self._lists_env, lists, pages)

    def _by_type(self, names: Iterable[str]) -> dict[type, list[str]]:
        used = list(names)
        return {kind: [name for name in used if type(self.names[name]) is kind] for kind in LISTS}

    def _placed(self, source: str, tokens: Sequence[Token], slots: Mapping[str, str]) -> str:
        """Write a condition with places for names; what follows a name, as `.contains`, stays."""
        written, end = [], 0
        for token in tokens:
            name = self._name(token)
            if name:
                rest = re.sub(r"\s", "", token.text)[len(name) :]
                written += [source[end : token.start], slots[name], rest]
                end = token.start + len(token.text)
        return "".join([*written, source[end:]])

    def _refuse_hidden(self, source: str, tokens: Sequence[Token]) -> None:
        """Refuse a loop variable that hides a name."""
        taken = {name.split(".")[0] for name in self.names} | set(LISTS.values())
        for token, following, variable in zip(tokens, tokens[1:], tokens[2:], strict=False):
            loops = token.kind == "name" and token.text.rpartition(".")[2].strip() in LOOPS and following.text == "("
            if loops and variable.text in taken:
                raise refused_at(
                    source, variable.start, f"the loop variable {variable.text} hides a name", "name it otherwise"
                )


class Together:
    """Conditions that are evaluated in one call for all (one call for every 200 of them)."""

    def __init__(self, env: cel.Env, names: Mapping[type, Sequence[str]], pages: Sequence[Sequence[str]]) -> None:
        self._env, self._names, self._pages = env, names, pages
        self._lists = [env.compile(_listed(page)) for page in pages]
        self._singly: dict[int, list[cel.Expression]] = {}

    def evaluate(self, values: Mapping[str, Value]) -> list[bool | None]:
        """Return whether each condition holds; None where it has no answer, as for a division by zero."""
        given = {LISTS[kind]: list(map(values.__getitem__, names)) for kind, names in self._names.items()}
        activation = self._env.Activation(given)
        answers: list[bool | None] = []
        for at, together in enumerate(self._lists):
            found = together.eval(activation)
            if found.type() == cel.Type.ERROR:  # one has no answer: the others still have theirs
                answers += [_answer(each.eval(activation)) for each in self._one_by_one(at)]
            else:
                answers += found.plain_value()
        return answers

    def _one_by_one(self, at: int) -> list[cel.Expression]:
        """Compile a page's conditions by themselves, once they are needed: most packs never need it."""
        if at not in self._singly:
            self._singly[at] = [self._env.compile(source) for source in self._pages[at]]
        return self._singly[at]


def _answer(found: cel.Value) -> bool | None:
    return None if found.type() == cel.Type.ERROR else found.value()


def _listed(sources: Sequence[str]) -> str:
    """Put conditions into one list expression; the line break ends a comment."""
    return "[" + ",".join(f"({source}\n)" for source in sources) + "]"


def _slots(lists: Mapping[type, Sequence[str]]) -> dict[str, str]:
    return {name: f"{LISTS[kind]}[{at}]" for kind, names in lists.items() for at, name in enumerate(names)}


def _pages(sources: Sequence[str]) -> list[list[str]]:
    """Part conditions into lists that one call each can take."""
    pages: list[list[str]] = [[]]
    room = MOST_CHARACTERS_IN_ONE_CALL
    for source in sources:
        if len(pages[-1]) == MOST_IN_ONE_CALL or len(source) > room:
            pages.append([])
            room = MOST_CHARACTERS_IN_ONE_CALL
        pages[-1].append(source)
        room -= len(_listed([source]))
    return pages


def _word_start(source: str, line: int, column: int) -> int:
    """Return the column where the dotted name begins that an error points into."""
    before = source.split("\n")[line - 1][: column - 1]
    return column - len(before) + len(before.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."))
