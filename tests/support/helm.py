"""Helm itself: what it makes of charts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from linkerd2_py.charts.written import as_yaml
from tests.support.cluster import programs


class HelmError(Exception):
    """Helm refused; the message is its last word."""


class Helm:
    """The program, with a home of its own."""

    def __init__(self, home: Path, *, kubeconfig: Path | None = None) -> None:
        self._program = programs.helm()
        self._environment = {
            **os.environ,
            **{f"HELM_{name}_HOME": str(home / name) for name in ("CACHE", "CONFIG", "DATA")},
            "KUBECONFIG": str(kubeconfig or home / "no-cluster"),
        }

    def __call__(self, *words: str | Path) -> str:
        """What it says. Raises `HelmError`."""
        done = subprocess.run(
            [self._program, *words],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise HelmError(done.stderr.strip())
        return done.stdout

    def template(
        self, chart: Path, *words: str | Path, namespace: str = "linkerd"
    ) -> list[dict[str, Any]]:
        """The objects that it makes of a chart. Raises `HelmError`."""
        cluster = ("--kube-version", programs.version(), "--namespace", namespace)
        text = self("template", "linkerd", chart, *cluster, *words)
        return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one is not None]


def write_chart(folder: Path, templates: Mapping[str, str], values: Mapping[str, Any]) -> Path:
    """A chart of these templates."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: tried\nversion: 0.1.0\n")
    (folder / "values.yaml").write_text(as_yaml([values]))
    for name, text in templates.items():
        (folder / "templates" / name).write_text(text)
    return folder


def by_name(objects: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """Objects by kind, namespace and name: what is there twice is a mistake."""
    found = {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one
        for one in objects
    }
    assert len(found) == len(objects), "two objects of one name"
    return found
