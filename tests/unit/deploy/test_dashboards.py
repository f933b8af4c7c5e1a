"""The Grafana dashboards: whole, readable by Grafana, and true to the code that draws them."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.__main__ import FOLDER, drift, texts
from deploy.grafana.board import COLUMNS, Board, Colour, Panel, Query, Row, Unit, number, table
from deploy.grafana.boards import BOARDS
from deploy.grafana.drawing import drawn
from deploy.local.config import ROOT

BUILT_IN = {"__range", "__rate_interval", "docs"}
ASKS = re.compile("[?？]")
ACTS = re.compile(r"[:：;；.。]")


@pytest.fixture(params=[path.name for path in sorted(FOLDER.glob("*.json"))])
def committed(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Yield each committed dashboard."""
    found: dict[str, Any] = json.loads((FOLDER / request.param).read_text(encoding="utf-8"))
    return found


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_the_committed_dashboards_are_what_the_code_draws() -> None:
    assert len(texts()) == 3
    assert drift(FOLDER) == []


def test_a_dashboard_that_is_missing_changed_or_left_over_is_named(tmp_path: Path) -> None:
    for name, text in texts().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert drift(tmp_path) == []
    (tmp_path / "chain.json").unlink()
    (tmp_path / "rules.json").write_text("{}", encoding="utf-8")
    (tmp_path / "old.json").write_text("{}", encoding="utf-8")
    assert drift(tmp_path) == ["old.json is left over", "chain.json is missing", "rules.json is out of date"]


def lost(ours: Any, theirs: Any, at: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield where `theirs` lacks or changes what `ours` says; what it adds are defaults."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from lost(value, theirs[key], f"{at}.{key}")
            else:
                yield f"{at}.{key}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for mine, other in zip(ours, theirs, strict=True):
            yield from lost(mine, other, f"{at}[]")
    elif ours != theirs:
        yield at


def as_grafana_reads_it(dashboard: dict[str, Any]) -> dict[str, Any]:
    register_default_plugins()
    found: dict[str, Any] = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    return found


def test_grafanas_own_types_read_all_that_a_dashboard_says(committed: dict[str, Any]) -> None:
    assert list(lost(committed, as_grafana_reads_it(committed))) == []


def test_a_word_that_grafana_does_not_know_would_be_found() -> None:
    dashboard = drawn(BOARDS[0])
    panels(dashboard)[0]["options"]["colourMode"] = "value"
    dashboard["refreshes"] = "30s"
    assert list(lost(dashboard, as_grafana_reads_it(dashboard))) == [".panels[].options.colourMode", ".refreshes"]


def test_every_panel_says_what_it_asks_what_to_do_and_in_what_unit(committed: dict[str, Any]) -> None:
    for panel in panels(committed):
        description = panel["description"]
        assert ASKS.search(description), f"{panel['title']} asks nothing"
        assert ACTS.search(description[ASKS.search(description).end() :]), f"{panel['title']} says nothing to do"  # type: ignore[union-attr]
        assert panel["fieldConfig"]["defaults"]["unit"] in set(Unit)
        assert panel["targets"]
        assert panel["links"], f"{panel['title']} has no page that says more"


def test_ids_and_titles_are_given_once(committed: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in committed["panels"]]
    titles = [panel["title"] for panel in committed["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)
    assert len({board.uid for board in BOARDS}) == len(BOARDS)


def overlapping(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (one["title"], other["title"])
        for one, other in combinations(dashboard["panels"], 2)
        if all(
            one["gridPos"][start] < other["gridPos"][start] + other["gridPos"][size]
            and other["gridPos"][start] < one["gridPos"][start] + one["gridPos"][size]
            for start, size in (("x", "w"), ("y", "h"))
        )
    ]


def test_no_panel_lies_over_another_or_beyond_the_edge(committed: dict[str, Any]) -> None:
    assert overlapping(committed) == []
    for panel in committed["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS


def test_panels_of_different_heights_find_room_beside_and_below_each_other() -> None:
    tall = Panel("tall", "", Unit.COUNT, (Query("1"),), height=9)
    small = number("small", "", Unit.COUNT, (Query("1"),))
    wide = table("wide", "", Unit.COUNT, (Query("1"),), width=20)
    board = Board("b", "b", "", "now-1h", (Row("one", (tall, small, wide, small)), Row("two", (small,))), (), "x.md")
    dashboard = drawn(board)
    assert overlapping(dashboard) == []
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert places == [(0, 0), (0, 1), (8, 1), (0, 10), (20, 10), (0, 18), (0, 19)]


def test_every_choice_that_an_expression_makes_can_be_chosen(committed: dict[str, Any]) -> None:
    offered = {variable["name"] for variable in committed["templating"]["list"]} | BUILT_IN
    for panel in panels(committed):
        for target in panel["targets"]:
            assert set(re.findall(r"\$\{?(\w+)", target["expr"])) <= offered


def anchors(page: Path) -> set[str]:
    """Return the sections of a page, by the names GitHub gives them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize(
    "page", sorted({see for board in BOARDS for see in (board.page, *(p.see for p in board.panels())) if see})
)
def test_every_page_that_a_dashboard_points_to_is_there(page: str) -> None:
    name, _, section = page.partition("#")
    path = ROOT / "docs" / name
    assert path.exists(), f"docs/{name} is missing"
    assert not section or section in anchors(path), f"docs/{name} has no section {section}"


def test_alarms_are_good_as_long_as_they_are_0() -> None:
    for panel in (panel for board in BOARDS for panel in board.panels() if panel.quiet and panel.steps):
        assert panel.base is Colour.GOOD, panel.title
        assert panel.steps[0][0] > 0, panel.title
