"""Writes what is generated of the Helm charts: templates, schemas and READMEs.

    python tools/gen_charts.py

A unit test says when it is to be run again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from linkerd2_py import __version__  # noqa: E402
from linkerd2_py.charts.cni.manifest import MANIFEST as CNI  # noqa: E402
from linkerd2_py.charts.control_plane import MANIFESTS  # noqa: E402
from linkerd2_py.charts.helm import template  # noqa: E402
from tools.chart_readme import readme  # noqa: E402
from tools.chart_schema import SAID_OF_CNI, schema_of  # noqa: E402

CHARTS = ROOT / "charts"


def generated() -> Iterator[tuple[Path, str]]:
    """Each file with its text."""
    chart = CHARTS / "linkerd2-py-control-plane"
    values = (chart / "values.yaml").read_text()
    schema = schema_of(values, title="Values of linkerd2-py-control-plane")
    yield chart / "values.schema.json", json.dumps(schema, indent=2) + "\n"
    for manifest in MANIFESTS:
        source = f"charts/control_plane/{Path(manifest.name).stem.replace('-', '_')}.py"
        yield chart / "templates" / manifest.name, template(manifest, source=source)
    yield chart / "README.md", readme(chart, version=__version__)
    yield from _of_cni(CHARTS / "linkerd2-py-cni")


def _of_cni(chart: Path) -> Iterator[tuple[Path, str]]:
    text = (chart / "values.yaml").read_text()
    schema = schema_of(text, title="Values of linkerd2-py-cni", said=SAID_OF_CNI)
    yield chart / "values.schema.json", json.dumps(schema, indent=2) + "\n"
    source = "charts/cni/manifest.py"
    yield chart / "templates" / CNI.name, template(CNI, source=source)
    yield chart / "README.md", readme(chart, version=__version__)


def main() -> None:
    for path, text in generated():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
