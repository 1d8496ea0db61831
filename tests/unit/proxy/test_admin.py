"""The admin paths, without a connection."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from linkerd2_py.base import logs
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.admin import Admin, Admission, Fields, own_names
from linkerd2_py.proxy.log_level import LogLevel

OPEN = Admission()
LOCAL, REMOTE = SocketAddr("127.0.0.1", 9), SocketAddr("10.0.0.1", 9)


@dataclass
class Asked:
    """A request that keeps its answer."""

    method: bytes
    path: bytes
    peer: SocketAddr = LOCAL
    body: bytes = b""
    authority: bytes = b"127.0.0.1:4191"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    status: int = 0
    fields: dict[bytes, bytes] = field(default_factory=dict)
    answer: bytes = b""

    def respond(
        self, status: int, headers: Fields = (), body: bytes | Iterator[bytes] = b""
    ) -> None:
        self.status, self.fields = status, dict(headers)
        self.answer = body if isinstance(body, bytes) else b"".join(body)


class Setup:
    """An admin with everything recorded."""

    def __init__(
        self, *, shutdown: bool = False, ready: bool = True, admission: Admission = OPEN
    ) -> None:
        self.shut_downs = 0
        self.level = LogLevel(logs.DEFAULT_FILTER)
        self.admin = Admin(
            render=lambda: iter([b"a 1\n", b"b 2\n"]),
            endpoints=lambda: iter([b'{"targets": [', b"]}\n"]),
            ready=lambda: ready,
            listeners=lambda: {"admin": "127.0.0.1:4191"},
            environment=lambda: {"LINKERD2_PROXY_LOG": "warn", "LINKERD2_PROXY_CORES": "1"},
            log_level=self.level,
            shut_down=self._shut_down if shutdown else None,
            admission=admission,
        )

    def _shut_down(self) -> None:
        self.shut_downs += 1

    def ask(self, method: str, path: str, *, peer: SocketAddr = LOCAL, body: bytes = b"") -> Asked:
        return self.put(Asked(method.encode(), path.encode(), peer=peer, body=body))

    def put(self, asked: Asked) -> Asked:
        self.admin.on_request(asked)
        return asked


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    yield
    logs.set_filter("warn")


def test_metrics_are_pulled_in_slices() -> None:
    asked = Setup().ask("GET", "/metrics?x=1")
    assert (asked.status, asked.answer) == (200, b"a 1\nb 2\n")
    assert asked.fields[b"content-type"].startswith(b"text/plain; version=0.0.4")


def test_health() -> None:
    assert Setup().ask("GET", "/live").answer == b"live\n"
    assert Setup().ask("GET", "/ready").status == 200
    assert Setup(ready=False).ask("HEAD", "/ready").status == 503


def test_endpoints_are_pulled_in_slices() -> None:
    asked = Setup().ask("GET", "/endpoints.json")
    assert asked.fields[b"content-type"] == b"application/json"
    assert (asked.status, asked.answer) == (200, b'{"targets": []}\n')


def test_listeners() -> None:
    asked = Setup().ask("GET", "/listeners", peer=REMOTE)
    assert json.loads(asked.answer) == {"admin": "127.0.0.1:4191"}


def test_the_environment_whole_or_by_name() -> None:
    asked = Setup().ask("GET", "/env.json", peer=REMOTE)
    assert asked.fields[b"content-type"] == b"application/json"
    assert json.loads(asked.answer) == {"LINKERD2_PROXY_LOG": "warn", "LINKERD2_PROXY_CORES": "1"}
    asked = Setup().ask("GET", "/env.json?LINKERD2_PROXY_LOG&PATH")
    assert json.loads(asked.answer) == {"LINKERD2_PROXY_LOG": "warn", "PATH": None}
    asked = Setup().ask("GET", "/env.json?LINKERD2_PROXY_LOG=debug")
    assert (asked.status, json.loads(asked.answer)["status"]) == (400, 400)
    assert Setup().ask("POST", "/env.json").status == 405


@pytest.mark.parametrize("path", ["/", "", "*", "/metrics/", "/shutdown"])
def test_other_paths_are_not_found(path: str) -> None:
    assert Setup().ask("POST", path).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/metrics", b"GET, HEAD"),
        ("DELETE", "/proxy-log-level", b"GET, PUT, HEAD"),
        ("GET", "/shutdown", b"POST"),
    ],
)
def test_other_methods_are_not_allowed(method: str, path: str, allowed: bytes) -> None:
    asked = Setup(shutdown=True).ask(method, path)
    assert (asked.status, asked.fields[b"allow"]) == (405, allowed)


def test_the_log_level_is_read_and_changed() -> None:
    setup = Setup()
    assert setup.ask("GET", "/proxy-log-level").answer == b"warn,linkerd=info\n"
    assert setup.ask("PUT", "/proxy-log-level", body=b"warn,linkerd=debug\n").status == 204
    assert setup.ask("GET", "/proxy-log-level").answer == b"warn,linkerd=debug\n"


@pytest.mark.parametrize("body", [b"loud", b"=info", b"\xff"])
def test_a_filter_that_is_none_is_refused_and_changes_nothing(body: bytes) -> None:
    setup = Setup()
    assert setup.ask("PUT", "/proxy-log-level", body=body).status == 400
    assert setup.level.text == logs.DEFAULT_FILTER


def test_a_filter_has_a_bound() -> None:
    assert Setup().ask("PUT", "/proxy-log-level", body=b"a" * 5000).status == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/proxy-log-level"), ("PUT", "/proxy-log-level"), ("POST", "/shutdown")],
)
def test_strangers_change_nothing(method: str, path: str) -> None:
    setup = Setup(shutdown=True)
    assert setup.ask(method, path, peer=REMOTE, body=b"info").status == 403
    assert setup.shut_downs == 0
    assert setup.level.text == logs.DEFAULT_FILTER


def test_shutdown_where_it_is_switched_on() -> None:
    setup = Setup(shutdown=True)
    assert setup.ask("POST", "/shutdown").status == 200
    assert setup.shut_downs == 1


CHANGES = ((b"PUT", b"/proxy-log-level"), (b"POST", b"/shutdown"))


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_what_changes_the_proxy_needs_the_token_where_there_is_one(
    method: bytes, path: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "admin-token"
    setup = Setup(shutdown=True, admission=Admission(token_file=str(file)))

    def status(shown: bytes | None, *, peer: SocketAddr = LOCAL) -> int:
        headers = [(b"authorization", shown)] if shown is not None else []
        return setup.put(Asked(method, path, peer=peer, headers=headers, body=b"debug")).status

    # A file that is missing or empty lets nobody in.
    assert status(b"Bearer ") == 401
    file.write_bytes(b"\n")
    assert status(b"Bearer ") == 401
    file.write_bytes(b"secret\n")
    for shown in (
        None,
        b"",
        b"secret",
        b"Bearer",
        b"Bearer secre",
        b"Bearer secrets",
        b"Basic secret",
    ):
        assert status(shown) == 401
    assert (setup.level.text, setup.shut_downs) == (logs.DEFAULT_FILTER, 0)
    assert status(b"Bearer secret", peer=REMOTE) == 403
    assert status(b"bearer secret") in {200, 204}
    file.write_bytes(b"another")
    assert status(b"Bearer secret") == 401
    # To read needs none.
    assert setup.ask("GET", "/proxy-log-level").status == 200


def test_a_refusal_says_where_the_token_is() -> None:
    asked = Setup(admission=Admission(token_file="/run/token")).ask("PUT", "/proxy-log-level")
    assert b"what is in /run/token" in asked.answer
    assert asked.fields[b"www-authenticate"] == b"Bearer"


@pytest.mark.parametrize(("method", "path"), [*CHANGES, (b"GET", b"/metrics"), (b"GET", b"/live")])
def test_a_stranger_s_name_is_not_answered(method: bytes, path: bytes) -> None:
    setup = Setup(shutdown=True, admission=Admission(hosts=frozenset({"web-0"})))
    for authority in (b"attacker.example", b"web-0.attacker.example:80", b"127.0.0.1.example"):
        assert setup.put(Asked(method, path, authority=authority, body=b"info")).status == 403
    assert setup.shut_downs == 0
    for authority in (b"web-0:4191", b"localhost", b"10.1.2.3:4191", b"[::1]:4191", b""):
        asked = setup.put(Asked(method, path, authority=authority, body=b"info"))
        assert asked.status in {200, 204}


def test_a_pod_knows_its_own_name() -> None:
    assert own_names() == {socket.gethostname().lower()}
