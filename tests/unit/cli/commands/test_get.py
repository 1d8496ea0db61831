"""`get`: what is asked for, what is shown of it, and what is not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from linkerd2_py.cli.commands.get import listed
from linkerd2_py.cli.main import run
from tests.support.public_api import POD, Server

Get = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.set_pods({}, {"name": "api-0", "owner": "deploy/api", "labels": {"app": "api"}})
    yield made
    made.close()


@pytest.fixture
def get(server: Server, capsys: pytest.CaptureFixture[str]) -> Get:
    """Status, stdout and stderr of `get` with these words."""

    def ask(words: str) -> tuple[int, str, str]:
        status = run(["get", "-n", "shop", "--api-addr", server.address, *words.split()])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return ask


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("po", ["pod/"]),
        ("pods web-0 web-1", ["pod/web-0", "pod/web-1"]),
        ("po/web-0 svc/web", ["pod/web-0", "service/web"]),
        ("svc,po", ["service/", "pod/"]),
        ("deploy,pods,services", ["deployment/", "pod/", "service/"]),
        ("sts", ["statefulset/"]),
        (
            "all",
            [
                *("cronjob/", "daemonset/", "deployment/", "job/", "pod/"),
                *("replicationcontroller/", "replicaset/", "service/", "statefulset/"),
            ],
        ),
    ],
)
def test_what_is_asked_for(words: str, expected: list[str]) -> None:
    assert [f"{one.kind}/{one.name}" for one in listed(words.split())] == expected


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("po", ["web-0", "api-0"]),
        ("po web-0", ["web-0"]),
        ("po/api-0", ["api-0"]),
        ("po -l app=api", ["api-0"]),
        ("po -l app!=api,app", ["web-0"]),
        ("deploy", ["web"]),
        ("svc,po", ["po/web-0", "po/api-0", "svc/web-svc"]),
        ("svc,po -l app=web", ["po/web-0", "svc/web-svc"]),
        ("all -l app=api", ["api-0"]),
        ("all", ["deploy/web", "po/web-0", "po/api-0", "svc/web-svc"]),
    ],
)
def test_what_is_shown(get: Get, words: str, names: list[str]) -> None:
    status, out, err = get(words)
    lines = [line.split()[0] for line in out.splitlines() if line]
    assert (status, err) == (0, "")
    assert [name for name in lines if name != "NAME"] == names


def test_names_alone(get: Get) -> None:
    assert get("po web-0 -o name") == (0, "shop/web-0\n", "")
    assert get("svc,deploy -o name") == (0, "deploy/web\nsvc/web-svc\n", "")


def test_json_is_what_the_api_said(get: Get) -> None:
    _, out, _ = get("po web-0 -o json")
    assert json.loads(out) == [POD]


def test_what_is_not_there_is_said(get: Get) -> None:
    expected = "linkerd2-py: there is no pod 'web-9' in the namespace 'shop'\n"
    assert get("po web-9") == (1, "", expected)
    assert get("po web-0 web-9") == (1, "", expected)
    assert get("po -l app=none") == (0, "", "No resources found in shop namespace.\n")
    assert get("po -l app=none -A") == (0, "", "No resources found\n")
    assert get("po -l app=none -o json") == (0, "[]\n", "")
