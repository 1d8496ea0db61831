"""What a hunt found, as it is shown."""

import json
from collections.abc import Iterator

import pytest

from linkerd2_py.cli.main import run
from linkerd2_py.cli.render.hunt import HuntStyle, as_json, command, finding_lines
from tests.support.golden import assert_golden
from tests.support.public_api import Server

FOUND = [
    {
        "kind": "fails",
        "namespace": "emojivoto",
        "resource": "deploy/voting",
        "sentence": "voting: \x1b[31mVoteDoughnut\x1b[0m fails with UNKNOWN on both replicas since they started",
        "score": 29.0,
        "since_s": None,
        "commands": [
            "routes deploy/voting",
            "diagnostics proxy-metrics deploy/voting | grep failure",
        ],
    },
    {
        "kind": "crashes",
        "namespace": "shop",
        "resource": "deploy/web",
        "sentence": "web: web-0 crashes again and again",
        "score": 10.0,
        "since_s": 3.0,
        "commands": ["kubectl logs deploy/web --previous"],
    },
]
STYLE = HuntStyle(program="linkerd2-py", namespace="emojivoto")


def test_findings() -> None:
    assert_golden("cli/hunt.golden", "\n".join(finding_lines(FOUND, style=STYLE)) + "\n")
    document = as_json({"findings": FOUND, "pods": 2, "requests": 10.0}, style=STYLE)
    assert_golden("cli/hunt_json.golden", json.dumps(document, indent=2) + "\n")


def test_one_finding_says_that_all_else_is_well() -> None:
    first, *_ = finding_lines(FOUND[:1], style=STYLE)
    assert first.endswith("since they started; everything else is well")


def test_commands_name_another_namespace_before_a_pipe() -> None:
    other = HuntStyle(program="linkerd2-py", namespace="other")
    assert command("a b | grep c", of="shop", style=other) == "linkerd2-py a b -n shop | grep c"


@pytest.fixture
def public_api() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def test_the_exit_status_says_whether_anything_was_found(public_api: Server) -> None:
    asked = ("hunt", "--api-addr", public_api.address)
    public_api.answers["/hunt"] = (200, {"findings": FOUND, "pods": 2, "requests": 10.0})
    assert run(asked) == 1
    public_api.answers["/hunt"] = (200, {"findings": [], "pods": 2, "requests": 10.0})
    assert run(asked) == 0
    assert run((*asked, "ns/shop")) == 2
    assert run((*asked, "deploy")) == 2
