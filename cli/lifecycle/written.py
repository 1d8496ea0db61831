"""Objects as `kubectl apply -f -` and `kubectl delete -f -` read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from linkerd2_py.cli import output

if TYPE_CHECKING:
    from linkerd2_py.controlplane.kubernetes_api import Json

FORMS: Final = ("yaml", "json")


def write_objects(objects: Sequence[Json], *, form: str) -> None:
    """All at once: whoever reads them gets the whole or nothing. JSON is one object a line."""
    from linkerd2_py.charts.written import as_yaml

    if form == "json":
        output.write("".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in objects))
    else:
        output.write(as_yaml(objects) if objects else "")


def bare(found: Json, *, kind: str, api_version: str) -> Json:
    """As much of an object as says which one it is."""
    about = found["metadata"]
    named = {"name": about["name"]}
    if about.get("namespace"):
        named["namespace"] = about["namespace"]
    return {"apiVersion": api_version, "kind": kind, "metadata": named}
