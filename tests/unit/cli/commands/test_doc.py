"""`doc`: all there is, and nothing that is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from linkerd2_py.cli.app import COMMANDS
from linkerd2_py.cli.main import run


@pytest.fixture
def found(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["doc"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# Written by `linkerd2-py doc`.\n")
    read: dict[str, Any] = yaml.safe_load(out)
    assert run(["doc", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == read
    return read


def test_every_command_is_described(found: dict[str, Any]) -> None:
    by_name = {one["Name"]: one for one in found["CLIReference"]}
    assert {name.split()[0] for name in by_name} == set(COMMANDS)
    check = by_name["check"]
    assert check["Synopsis"] == "linkerd2-py check [OPTION]..."
    assert check["Description"].startswith("Check the control plane and the proxies; exit status 1")
    assert {
        "Name": "output",
        "Shorthand": "o",
        "DefaultValue": "table",
        "Usage": "What to print.",
    } in (check["Options"])
    assert "controller destination" in by_name
    assert all(one["Description"] for one in found["CLIReference"])


def test_annotations_and_variables_are_described(found: dict[str, Any]) -> None:
    annotations = [one["Name"] for one in found["AnnotationsReference"]]
    assert {"linkerd.io/inject", "config.linkerd.io/proxy-log-level"} <= set(annotations)
    assert len(annotations) == len(set(annotations))
    variables = {one["Name"]: one for one in found["EnvironmentReference"]}
    assert variables["LINKERD2_PROXY_INBOUND_LISTEN_ADDR"]["DefaultValue"] == "0.0.0.0:4143"
