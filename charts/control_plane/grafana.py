"""What a Grafana of the cluster, or one outside, is given: dashboards and where their data is, as
ConfigMaps that Grafana's chart picks up by their labels. There is no Grafana here: who has one says where,
and gets them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from linkerd2_py.charts.control_plane.named import labels, metadata
from linkerd2_py.charts.control_plane.public_api import PROMETHEUS
from linkerd2_py.charts.nodes import Items, Manifest, Ref, Tree, When, some, text
from linkerd2_py.charts.observe.dashboards.boards import dashboards
from linkerd2_py.charts.observe.dashboards.language import Dashboard

_COMPONENT: Final = "grafana"
_UID_PREFIX: Final = Ref("grafana.uidPrefix")
_FOUND_BY: Final = "grafana_dashboard"
_DATA_FOUND_BY: Final = "grafana_datasource"


def _config_map(name: str, *, found_by: str, data: Mapping[str, Tree]) -> dict[str, Tree]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            **metadata(name, _COMPONENT),
            "labels": labels(_COMPONENT, {found_by: "1"}),
        },
        "data": data,
    }


def _dashboard(board: Dashboard) -> dict[str, Tree]:
    written = board.written()
    # Its address is the one thing that values change.
    others = json.dumps({key: one for key, one in written.items() if key != "uid"})
    return _config_map(
        f"linkerd-grafana-{board.name}",
        found_by=_FOUND_BY,
        data={
            f"{board.uid}.json": text('{"uid": "', _UID_PREFIX, f'{board.uid}", {others[1:]}'),
        },
    )


_DATASOURCE: Final = _config_map(
    "linkerd-grafana-datasource",
    found_by=_DATA_FOUND_BY,
    data={
        "linkerd.yaml": text(
            "apiVersion: 1\ndatasources:\n- name: linkerd\n  type: prometheus\n  access: proxy\n  url: ",
            PROMETHEUS,
            "\n",
        )
    },
)

GRAFANA: Final = Manifest(
    "grafana.yaml",
    (
        When(
            some(Ref("grafana.url"), Ref("grafana.externalUrl")),
            Items(
                (
                    *map(_dashboard, dashboards()),
                    When(PROMETHEUS, _DATASOURCE),
                )
            ),
        ),
    ),
)
