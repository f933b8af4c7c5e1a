"""A dashboard as Grafana reads it: its JSON, and the places of its panels on the grid."""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from deploy.grafana.board import COLUMNS, Board, Kind, Matrix, Panel, Query, Row, Unit, Variable

Json = dict[str, Any]

SCHEMA_VERSION: Final = 40
"""Grafana 11.5's; a newer Grafana brings it up to date when it reads it."""

SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
TAG: Final = "lanjie"
REFRESH: Final = "30s"


def text_of(board: Board) -> str:
    """Write a dashboard the way it is committed."""
    return json.dumps(drawn(board), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def drawn(board: Board) -> Json:
    """Return a dashboard as Grafana reads it."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": REFRESH,
        "time": {"from": board.since, "to": "now"},
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "annotations": {"list": []},
        "links": _links(board),
        "templating": {"list": [_source(), *map(_choice, board.variables), _docs()]},
        "panels": list(_placed(board.rows)),
    }


def _placed(rows: tuple[Row, ...]) -> Iterator[Json]:
    """Yield the panels with their places: each where the line has room for it, else on the next one."""
    number, top = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
            "panels": [],
        }
        left, top, bottom = 0, top + 1, top + 1
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top = 0, bottom
            number += 1
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": panel.height})
            left, bottom = left + panel.width, max(bottom, top + panel.height)
        top = bottom


def _panel(panel: Panel, number: int, place: Json) -> Json:
    drawing: Json = {
        "id": number,
        "type": panel.kind.value,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [_target(panel, query, place) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _field(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
        "links": [{"title": "Read more", "type": "link", "url": _page(panel.see), "targetBlank": True}]
        if panel.see
        else [],
    }
    if panel.matrix:
        drawing["transformations"] = _as_matrix(panel.matrix)
    return drawing


def _target(panel: Panel, query: Query, place: int) -> Json:
    target: Json = {
        "refId": chr(ord("A") + place),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "editorMode": "code",
        "range": panel.kind is Kind.LINES,
        "instant": panel.kind is not Kind.LINES,
    }
    if panel.kind is Kind.TABLE:
        target["format"] = "table"
    return target


def _field(panel: Panel) -> Json:
    first = {"color": panel.base.value, "value": None}
    steps = [{"color": colour.value, "value": value} for value, colour in panel.steps]
    field: Json = {
        "unit": panel.unit.value,
        "noValue": "—",
        "color": {"mode": "palette-classic" if panel.kind is Kind.LINES else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [first, *steps]},
    }
    if panel.names and panel.kind is Kind.TABLE:
        field["mappings"] = [{"type": "value", "options": {value: {"text": name} for value, name in panel.names}}]
    if panel.unit is Unit.COUNT and panel.kind is not Kind.LINES:
        field["decimals"] = 0  # what Prometheus finds between two scrapes it stretches over the whole time
    if panel.kind is Kind.LINES:
        field["min"] = 0
        field["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 8,
            "showPoints": "never",
            "thresholdsStyle": {"mode": "dashed" if steps else "off"},
        }
    return field


def _overrides(panel: Panel) -> list[Json]:
    """Return what bars are called: a bar's name is its field's."""
    if panel.kind is not Kind.BARS:
        return []
    return [
        {
            "matcher": {"id": "byName", "options": value},
            "properties": [{"id": "displayName", "value": name}],
        }
        for value, name in panel.names
    ]


def _as_matrix(matrix: Matrix) -> list[Json]:
    """Return the steps that make a table by two labels of the one long list that Prometheus answers with."""
    grouping = {"rowField": matrix.row, "columnField": matrix.column, "valueField": "Value", "emptyValue": "zero"}
    corner = f"{matrix.row}\\{matrix.column}"
    titles = [(corner, matrix.corner or matrix.row), *matrix.titles]
    naming = {
        "renameByName": dict(titles),
        "indexByName": {value: place for place, (value, _) in enumerate(titles)},
        "excludeByName": {},
    }
    return [{"id": "groupingToMatrix", "options": grouping}, {"id": "organize", "options": naming}]


def _options(panel: Panel) -> Json:
    reduce: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case Kind.LINES:
            return {
                "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case Kind.NUMBER:
            mode = "background" if panel.steps else "value"
            return {"reduceOptions": reduce, "colorMode": mode, "graphMode": "none", "textMode": "auto"}
        case Kind.BARS:
            return {"reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": True}
        case Kind.TABLE:
            return {"showHeader": True, "cellHeight": "sm"}


def _links(board: Board) -> list[Json]:
    others: Json = {
        "type": "dashboards",
        "title": "lanjie",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }
    page: Json = {
        "type": "link",
        "title": board.page,
        "icon": "doc",
        "url": _page(board.page),
        "targetBlank": True,
    }
    return [others, page]


def _page(page: str) -> str:
    """Return the address of a page under docs/; where these lie, the variable `docs` says."""
    name, _, section = page.partition("#")
    return f"${{docs}}/{name}" + (f"#{quote(section)}" if section else "")


def _source() -> Json:
    return {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"}


def _docs() -> Json:
    """Return the variable that says where the pages lie: hidden, and set in the generator for all."""
    return {"type": "constant", "name": "docs", "query": DOCS, "hide": 2, "skipUrlSync": True}


def _choice(variable: Variable) -> Json:
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.title,
        "datasource": SOURCE,
        "query": {"query": f"label_values({variable.metric}, {variable.label})", "refId": variable.name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


DOCS: Final = "https://lanjie.example/docs"
