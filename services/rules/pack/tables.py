"""How the cells of a decision table read as conditions."""

import re
from typing import Final

NAME: Final = re.compile(r"[\w.]+")
RANGE: Final = re.compile(r"\s*(-?\d+)\s*\.\.\s*(-?\d+)\s*")
CHOICE: Final = re.compile(r"[|&?]")


def as_input(expression: str) -> str:
    """Return a table's input as it can stand in a condition with others."""
    return expression if NAME.fullmatch(expression) else f"({expression})"


def as_condition(one: str, cell: str) -> str:
    """Return a cell as a condition on its input; empty where anything will do."""
    cell = cell.strip()
    if cell == "-":
        return ""
    if cell in {"true", "false"}:
        return one if cell == "true" else f"!{one}"
    if found := RANGE.fullmatch(cell):
        return f"{one} >= {found[1]} && {one} <= {found[2]}"
    condition = f"{one} {cell}" if cell.startswith(("<", ">", "=", "!", "in ")) else f"{one} == {cell}"
    return f"({condition})" if CHOICE.search(cell) else condition
