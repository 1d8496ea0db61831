"""The CNI plugin: its chart, and the objects that `install-cni` applies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from linkerd2_py.charts.cni.manifest import LABELS, MANIFEST
from linkerd2_py.charts.evaluate import Object, objects, roots
from linkerd2_py.charts.schema import check
from linkerd2_py.charts.values import Layers, given, laid_over, read

CHART: Final = Path(__file__).parents[1] / "linkerd2-py-cni"
NAMESPACE: Final = "linkerd-cni"


def cni_defaults() -> Object:
    """A copy of the chart's values."""
    return read((CHART / "values.yaml").read_text(), name="values.yaml")


def cni_values(layers: Layers, *, over: Mapping[str, Any] | None = None) -> Object:
    """The chart's defaults, what is laid `over` them, and the layers over both, checked. Raises
    `ValuesError`.
    """
    made = laid_over(laid_over(cni_defaults(), over or {}), given(layers))
    check(made, schema())
    return made


def render_cni(values: Mapping[str, Any], *, namespace: str = NAMESPACE) -> list[Object]:
    """The objects in the order in which they are applied, with their namespace. Raises `ValuesError`."""
    made = list(objects(MANIFEST, roots(values, namespace=namespace)))
    around: Object = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": namespace,
            "labels": {
                **LABELS,
                "config.linkerd.io/admission-webhooks": "disabled",
                # The agent writes into folders and networks of its node.
                "pod-security.kubernetes.io/enforce": "privileged",
            },
        },
    }
    return [around, *made]


@cache
def schema() -> Mapping[str, Any]:
    """What values may be, as Helm reads it, too."""
    found: Mapping[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return found
