"""Conditions that cannot hold: `payer.age > 70 && payer.age < 60`. Found for plain conjunctions only."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from services.rules.pack.expression import Condition
from services.rules.pack.tokens import Token

COMPARED: Final = {"<", "<=", ">", ">=", "=="}
NARROW: Final = re.compile(r"-?\d{1,18}")
LOWEST: Final = -(2**63)
HIGHEST: Final = 2**63 - 1


def impossible(condition: Condition) -> str | None:
    """Say which name a conjunction asks two things of that exclude each other, or nothing."""
    parts = _conjuncts(condition.tokens)
    if parts is None:
        return None
    ranges: dict[str, tuple[int, int]] = defaultdict(lambda: (LOWEST, HIGHEST))
    wanted: dict[str, bool] = {}
    for part in parts:
        name, narrowed = _range(part, ranges)
        if name:
            ranges[name] = narrowed
            if narrowed[0] > narrowed[1]:
                return name
        elif (flag := _flag(part)) and wanted.setdefault(flag[0], flag[1]) is not flag[1]:
            return flag[0]
    return None


def _conjuncts(tokens: Sequence[Token]) -> list[list[Token]] | None:
    """Split at the outer `&&`; None where there is a choice at that level."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        if depth == 0 and token.text in {"||", "?"}:
            return None
        if depth == 0 and token.text == "&&":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _range(part: Sequence[Token], ranges: Mapping[str, tuple[int, int]]) -> tuple[str | None, tuple[int, int]]:
    """Narrow a name's range by `name < number`; (None, …) where the part is something else."""
    texts = [token.text for token in part]
    number = "".join(texts[2:])
    if len(texts) < 3 or part[0].kind != "name" or texts[1] not in COMPARED or not NARROW.fullmatch(number):  # noqa: PLR2004
        return None, (0, 0)
    low, high = ranges[texts[0]]
    bound = int(number)
    match texts[1]:
        case "<":
            return texts[0], (low, min(high, bound - 1))
        case "<=":
            return texts[0], (low, min(high, bound))
        case ">":
            return texts[0], (max(low, bound + 1), high)
        case ">=":
            return texts[0], (max(low, bound), high)
        case _:
            return texts[0], (max(low, bound), min(high, bound))


def _flag(part: Sequence[Token]) -> tuple[str, bool] | None:
    """Read `name` or `!name`."""
    texts = [token.text for token in part]
    if len(texts) == 1 and part[0].kind == "name":
        return texts[0], True
    if len(texts) == 2 and texts[0] == "!" and part[1].kind == "name":  # noqa: PLR2004
        return texts[1], False
    return None
