"""`authz`: what is shown of what a public API says."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from linkerd2_py.cli.main import run
from tests.support.public_api import Server

ROWS = [
    {
        "route": "",
        "server": "web-http",
        "authorization_policy": "callers",
        "server_authorization": "",
    },
    {
        "route": "read",
        "server": "web-http",
        "authorization_policy": "",
        "server_authorization": "admins",
    },
]
TABLE = """\
ROUTE   SERVER     AUTHORIZATION_POLICY   SERVER_AUTHORIZATION
*       web-http   callers
read    web-http                          admins
"""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.answers["/authorizations"] = (200, {"pods": 1, "authorizations": ROWS})
    yield made
    made.close()


def test_a_line_for_each(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["authz", "deploy/web", "--api-addr", server.address]
    assert run(words) == 0
    assert capsys.readouterr().out == TABLE
    assert run([*words, "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == ROWS


def test_nothing_that_lets_anybody_in_is_no_failure(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/authorizations"] = (200, {"pods": 1, "authorizations": []})
    assert run(["authz", "deploy", "web", "--api-addr", server.address]) == 0
    assert capsys.readouterr() == ("", "No authorizations found.\n")


def test_a_resource_that_is_not_there_is_one_line(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/authorizations"] = (200, {"pods": 0, "authorizations": []})
    assert run(["authz", "deploy/web", "-n", "shop", "--api-addr", server.address]) == 1
    assert capsys.readouterr().err == (
        "linkerd2-py: no pod found for deploy/web in the namespace 'shop'\n"
    )
