"""Dashboards as Grafana reads them.

There is no Grafana here: what it demands of a dashboard's JSON is written down as a schema, by its documented model
and by what its own exports have.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from linkerd2_py.charts.observe.dashboards.boards import KINDS, dashboards
from linkerd2_py.charts.observe.dashboards.language import (
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
)

BOARDS = {one.name: one for one in dashboards()}
_TEXT = {"type": "string"}
_WHOLE = {"type": "integer", "minimum": 0}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """With these fields and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


def _list(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


_DATASOURCE = _object({"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}})
_GRID = _object(
    {
        "x": {"type": "integer", "minimum": 0, "maximum": 23},
        "y": _WHOLE,
        "w": {"type": "integer", "minimum": 1, "maximum": 24},
        "h": {"type": "integer", "minimum": 1},
    }
)
_TARGET = _object(
    {
        "refId": {"type": "string", "pattern": "^[A-Z]+$"},
        "datasource": _DATASOURCE,
        "expr": {"type": "string", "minLength": 1},
        "legendFormat": {"type": "string", "minLength": 1},
        "instant": {"type": "boolean"},
        "range": {"type": "boolean"},
        "format": {"enum": ["time_series", "table", "heatmap"]},
    }
)
_THRESHOLDS = _object(
    {
        "mode": {"enum": ["absolute", "percentage"]},
        "steps": {
            **_list(_object({"color": _TEXT, "value": {"type": ["number", "null"]}}), minItems=1),
            # Below the first step there is none.
            "prefixItems": [{"properties": {"value": {"const": None}}}],
        },
    }
)
# Units that Grafana knows by these ids.
_UNITS = ["short", "percentunit", "reqps", "ops", "ms", "s", "bytes", "Bps"]
_FIELD = _object(
    {
        "defaults": _object(
            {
                "unit": {"enum": _UNITS},
                "color": _object({"mode": {"enum": ["thresholds", "palette-classic"]}}),
                "thresholds": _THRESHOLDS,
                "mappings": _list({}),
            },
            min={"type": "number"},
            max={"type": "number"},
            custom={
                "type": "object",
                "required": ["drawStyle", "stacking"],
                "properties": {
                    "drawStyle": {"enum": ["line", "bars", "points"]},
                    "showPoints": {"enum": ["auto", "never", "always"]},
                    "stacking": _object(
                        {"mode": {"enum": ["none", "normal", "percent"]}, "group": _TEXT}
                    ),
                },
            },
        ),
        "overrides": _list({}),
    }
)
_PANEL = _object(
    {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["timeseries", "stat", "table", "heatmap"]},
        "title": {"type": "string", "minLength": 1},
        "description": _TEXT,
        "datasource": _DATASOURCE,
        "gridPos": _GRID,
        "targets": _list(_TARGET, minItems=1),
        "fieldConfig": _FIELD,
        "options": {"type": "object"},
    },
    transformations=_list(_object({"id": _TEXT, "options": {"type": "object"}})),
)
_ROW = _object(
    {
        "id": {"type": "integer", "minimum": 1},
        "type": {"const": "row"},
        "title": {"type": "string", "minLength": 1},
        "collapsed": {"type": "boolean"},
        "gridPos": _GRID,
        "panels": _list(_PANEL),
    }
)
_VARIABLE = {
    "type": "object",
    "required": ["name", "type", "query", "refresh", "hide", "multi", "includeAll", "options"],
    "properties": {
        "name": {"type": "string", "pattern": r"^\w+$"},
        "type": {"enum": ["query", "datasource"]},
        "refresh": {"enum": [0, 1, 2]},
        "hide": {"enum": [0, 1, 2]},
        "sort": {"type": "integer", "minimum": 0, "maximum": 6},
        "multi": {"type": "boolean"},
        "includeAll": {"type": "boolean"},
        "options": _list({}),
    },
    "if": {"properties": {"type": {"const": "query"}}},
    "then": {
        "required": ["datasource", "definition"],
        "properties": {
            "datasource": _DATASOURCE,
            "query": _object({"query": {"type": "string", "pattern": "^label_values\\("}, "refId": _TEXT}),
        },
    },
    "else": {"properties": {"query": {"const": "prometheus"}}},
}  # fmt: skip
SCHEMA = _object(
    {
        # Longer ones are refused, and so are other letters.
        "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
        "title": {"type": "string", "minLength": 1},
        "description": _TEXT,
        "tags": _list(_TEXT, minItems=1),
        "schemaVersion": {"type": "integer", "minimum": 33, "maximum": 41},
        "version": _WHOLE,
        "editable": {"type": "boolean"},
        "graphTooltip": {"enum": [0, 1, 2]},
        "refresh": {"type": "string", "pattern": "^[0-9]+[smh]$"},
        "time": _object({"from": _TEXT, "to": _TEXT}),
        "timezone": {"enum": ["", "browser", "utc"]},
        "annotations": _object({"list": _list({})}),
        "links": _list({"type": "object", "required": ["type", "title"]}),
        "templating": _object({"list": _list(_VARIABLE)}),
        "panels": _list({"if": {"properties": {"type": {"const": "row"}}}, "then": _ROW, "else": _PANEL}),
    }
)  # fmt: skip


def flat(written: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows and panels, those of collapsed rows too."""
    return [one for top in written["panels"] for one in (top, *top.get("panels", ()))]


@pytest.mark.parametrize("name", BOARDS)
def test_grafana_would_take_it(name: str) -> None:
    written = json.loads(json.dumps(BOARDS[name].written()))
    Draft202012Validator.check_schema(SCHEMA)
    faults = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(SCHEMA).iter_errors(written)
    ]
    assert faults == []
    numbers = [one["id"] for one in flat(written)]
    assert len(set(numbers)) == len(numbers)
    for one in flat(written):
        refs = [target["refId"] for target in one.get("targets", ())]
        assert len(set(refs)) == len(refs)


@pytest.mark.parametrize("name", BOARDS)
def test_no_two_panels_share_a_place(name: str) -> None:
    written = BOARDS[name].written()
    groups = [written["panels"], *(one["panels"] for one in written["panels"] if one.get("panels"))]
    for group in groups:
        taken: set[tuple[int, int]] = set()
        for panel in group:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken
            taken |= cells


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_of_a_query_can_be_chosen(name: str) -> None:
    board = BOARDS[name]
    known = {"__rate_interval"}
    for variable in board.variables:
        assert set(re.findall(r"\$(\w+)", variable.query)) <= known, variable.name
        known.add(variable.name)
    for panel in board.panels:
        for query in panel.queries:
            assert set(re.findall(r"\$(\w+)", query.expression)) <= known, panel.title
            labels = re.findall(r"{{(\w+)}}", query.legend)
            assert all(
                re.search(rf"\b{label}\b", query.expression)
                for label in labels
                if label not in _OWN
            )


# What every series has that is not summed.
_OWN = {"pod", "component"}


def test_names_are_those_that_links_lead_to() -> None:
    assert len({one.uid for one in BOARDS.values()}) == len(BOARDS)
    assert BOARDS["deployment"].uid == "linkerd-deployment"
    kinds = {
        *("top-line", "namespace", "deployment", "statefulset", "daemonset", "replicaset"),
        *("replicationcontroller", "job", "cronjob", "pod", "service", "authority", "route"),
        *("policy", "proxy", "health"),
    }
    assert BOARDS.keys() == kinds
    for name in ("deployment", "job", "pod", "service", "authority"):
        assert [one.name for one in BOARDS[name].variables] == ["namespace", name]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_workloads_differ_in_their_name_alone(kind: str) -> None:
    """So what holds of one, which local meshes have, holds of all."""
    shown = {"k8s_job": "job"}.get(kind, kind)

    def unnamed(board: Dashboard, label: str, variable: str) -> list[str]:
        """Its questions without who calls, which has all kinds."""
        texts = [
            query.expression.partition(" by (namespace, deployment, statefulset")[0]
            for panel in board.panels
            for query in panel.queries
            if "le, namespace, deployment" not in query.expression
        ]
        swapped = [text.replace(f"${variable}", "$KIND") for text in texts]
        return [re.sub(rf"\b(dst_)?{label}=", r"\1KIND=", text) for text in swapped]

    assert unnamed(BOARDS[shown], kind, shown) == unnamed(
        BOARDS["deployment"], "deployment", "deployment"
    )


def test_a_line_of_panels_ends_where_there_is_no_room() -> None:
    panel = Panel("P", [Query("up")], width=10)
    board = Dashboard("x", "X", (Row("R", [panel] * 3), Row("S", [panel], collapsed=True)))
    places = [one["gridPos"] for one in board.written()["panels"]]
    assert [(at["x"], at["y"]) for at in places] == [(0, 0), (0, 1), (10, 1), (0, 9), (0, 17)]


def test_a_variable_asks_for_a_label() -> None:
    assert Variable("x", 'up{a="b"}', "pod").query == 'label_values(up{a="b"}, pod)'
