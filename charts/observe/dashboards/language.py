"""Dashboards, rows, panels and variables, and how Grafana has them as JSON.

What is said here holds from Grafana 8.3 on (`schemaVersion` 33): panels of today's kinds, a data source
chosen by a variable, no plug-ins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

WIDTH: Final = 24
"""Columns of Grafana's grid."""
_SCHEMA: Final = 33
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_HEIGHTS: Final = {"stat": 4, "timeseries": 8, "table": 9, "heatmap": 8}


@dataclass(frozen=True, slots=True)
class Query:
    """An expression of PromQL, and what its series are called; `{{label}}` stands for a label's value."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture of some queries. `needs` says what a mesh must have that is not always there for it to show
    anything.
    """

    title: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    description: str = ""
    needs: str = ""
    stacked: bool = False
    most: float | None = None
    colours: Sequence[tuple[str, float | None]] = ()
    """By value: each colour with where it begins."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels below a heading."""

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """What a person chooses, of the values that a label has in some series."""

    name: str
    series: str
    label: str
    all_of_them: bool = False

    @property
    def query(self) -> str:
        """As Grafana's data source for Prometheus has it."""
        return f"label_values({self.series}, {self.label})"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page; `name` is in its address."""

    name: str
    title: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    links: Sequence[str] = field(default_factory=tuple)
    description: str = ""

    @property
    def uid(self) -> str:
        """As Linkerd's, so that links to those lead here."""
        return f"linkerd-{self.name}"

    @property
    def panels(self) -> list[Panel]:
        """All of them."""
        return [panel for row in self.rows for panel in row.panels]

    def written(self) -> Json:
        """As Grafana reads it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["linkerd"],
            "schemaVersion": _SCHEMA,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-30m", "to": "now"},
            "timezone": "",
            "annotations": {"list": []},
            "links": [_link()],
            "templating": {"list": [_datasource(), *map(_variable, self.variables)]},
            "panels": list(_grid(self.rows)),
        }


def _link() -> Json:
    return {
        "type": "dashboards",
        "title": "Linkerd",
        "tags": ["linkerd"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def _datasource() -> Json:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "regex": "",
        "refresh": 1,
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "skipUrlSync": False,
    }


def _variable(one: Variable) -> Json:
    return {
        "name": one.name,
        "label": one.name.replace("_", " ").capitalize(),
        "type": "query",
        "datasource": _DATASOURCE,
        "definition": one.query,
        "query": {"query": one.query, "refId": one.name},
        "regex": "",
        # When the dashboard is opened, and when its time changes.
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "includeAll": one.all_of_them,
        **({"allValue": ".*"} if one.all_of_them else {}),
        "multi": False,
        "options": [],
        "skipUrlSync": False,
    }


def _grid(rows: Sequence[Row]) -> Iterator[Json]:
    """Panels with their places and numbers; those of a collapsed row are inside of it."""
    top, number = 0, 1
    for row in rows:
        head: Json = {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": row.collapsed,
            "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
            "panels": [],
        }
        number, top = number + 1, top + 1
        placed = list(_placed(row.panels, top=top, number=number))
        number += len(placed)
        if row.collapsed:
            yield {**head, "panels": placed}
            continue
        yield head
        yield from placed
        top = max((one["gridPos"]["y"] + one["gridPos"]["h"] for one in placed), default=top)


def _placed(panels: Sequence[Panel], *, top: int, number: int) -> Iterator[Json]:
    """From left to right, the next line where there is no room."""
    left, height = 0, 0
    for place, panel in enumerate(panels):
        if left + panel.width > WIDTH:
            left, top, height = 0, top + height, 0
        own = _HEIGHTS[panel.kind]
        place_of = {"x": left, "y": top, "w": panel.width, "h": own}
        yield {**_panel(panel), "id": number + place, "gridPos": place_of}
        left, height = left + panel.width, max(height, own)


def _panel(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "targets": [_target(one, panel, number) for number, one in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel),
        **({"transformations": _of_table()} if panel.kind == "table" else {}),
    }


def _target(query: Query, panel: Panel, number: int) -> Json:
    instant = panel.kind in {"stat", "table"}
    return {
        "refId": chr(ord("A") + number),
        "datasource": _DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": instant,
        "range": not instant,
        "format": {"table": "table", "heatmap": "heatmap"}.get(panel.kind, "time_series"),
    }


def _field(panel: Panel) -> Json:
    colours = panel.colours or (("green", None),)
    made: Json = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": colour, "value": value} for colour, value in colours],
        },
        "mappings": [],
    }
    if panel.most is not None:
        made["max"] = panel.most
    if panel.kind == "timeseries":
        made["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacked else 5,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        }
    return made


def _options(panel: Panel) -> Json:
    if panel.kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "wideLayout": True,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
        }
    if panel.kind == "table":
        return {
            "frameIndex": 0,
            "showHeader": True,
            "footer": {"show": False, "reducer": ["sum"], "fields": ""},
        }
    if panel.kind == "heatmap":
        return {"calculate": False, "yAxis": {"unit": panel.unit}, "legend": {"show": True}}
    return {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _of_table() -> list[Json]:
    """One line for each series, without the time."""
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}}},
    ]
