"""The last words of `local up --detach`."""

from collections.abc import Iterator

import pytest

from linkerd2_py.cli.commands.local import _finish_detached
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.live import Started
from linkerd2_py.controlplane.local.state.state_dir import State
from tests.support.public_api import Server


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def state(server: Server, monkeypatch: pytest.MonkeyPatch) -> State:
    """Of the mesh that was started, whatever other one a person asks about."""
    monkeypatch.setenv("LINKERD2_PY_API_ADDR", "127.0.0.1:1")
    where = f"http://{server.address}"
    return State("1", 1, where, "127.0.0.1:2", "/m.yaml", "shop", started=1.0)


def test_a_detached_start_is_ready_when_every_check_is_content(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    _finish_detached(Started(), state=state, sample=False)
    assert "√ everything is ready" in capsys.readouterr().out


def test_a_detached_start_with_a_failed_check_says_so_and_nothing_else(
    state: State, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"description": "certificates", "status": "error", "message": "one has expired"}
    result = {"category": "linkerd-identity", "hint": "", **wrong}
    server.answers["/self-check"] = (200, {"results": [result]})
    with pytest.raises(CliError, match=r"^1 failed check, see above; what did start keeps running"):
        _finish_detached(Started(), state=state, sample=False)
    out = capsys.readouterr().out
    assert "× linkerd-identity: certificates: one has expired" in out
    assert "everything is ready" not in out
    with pytest.raises(CliError, match=r"^2 problems, see above"):
        _finish_detached(Started(("one", "two")), state=state, sample=False)
