"""The unit tree: each unit's path from the top."""

import pytest

from services.notifier.reference import LEVELS, unit_paths


def units(**parents: str) -> list[dict[str, str]]:
    return [{"code": code, "parent": parent} for code, parent in parents.items()]


def test_a_path_names_the_unit_and_all_above_it() -> None:
    assert unit_paths(units(SZ="", LH="SZ", CZ="LH", FT="SZ")) == {
        "SZ": "/SZ/",
        "LH": "/SZ/LH/",
        "CZ": "/SZ/LH/CZ/",
        "FT": "/SZ/FT/",
    }


def test_the_order_of_the_units_does_not_matter() -> None:
    assert unit_paths(units(CZ="LH", LH="SZ", SZ=""))["CZ"] == "/SZ/LH/CZ/"


def test_a_unit_whose_name_begins_with_anothers_is_not_in_its_subtree() -> None:
    paths = unit_paths(units(SZ="", LH="SZ", LH2="SZ"))
    assert not paths["LH2"].startswith(paths["LH"])


def test_six_levels_are_a_tree() -> None:
    chain = {f"U{level}": f"U{level - 1}" if level else "" for level in range(LEVELS)}
    assert unit_paths(units(**chain))["U5"] == "/U0/U1/U2/U3/U4/U5/"


@pytest.mark.parametrize(
    "parents",
    [
        {"A": "B", "B": "A"},
        {"A": "A"},
        {"SZ": "", "LH": "GONE"},
        {f"U{level}": f"U{level - 1}" if level else "" for level in range(LEVELS + 1)},
    ],
    ids=["circle", "own parent", "missing parent", "seven levels"],
)
def test_what_is_no_tree_is_refused_by_the_unit(parents: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"unit '.*': its parents are missing, in a circle, or more than 6 levels"):
        unit_paths(units(**parents))
