"""The proxy as a process: how it starts, refuses to start, is operated, and ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from tests.support.certificates import IDENTITY, Signer
from tests.support.http1_client import Http1Client
from tests.support.processes import Child
from tests.support.raw_socket import End, RawConnection, RawListener
from tests.support.sidecar import PREFIX, Sidecar, environment, sidecar_process
from tests.support.wait import eventually, patience

HEAVY = (
    "grpc", "cryptography", "prometheus_client", "typer", "rich", "pydantic", "kubernetes", "starlette",
    "yaml", "httpx", "uvicorn", "websockets", "ssl", "_ssl",
)  # fmt: skip

# What stands in for the modules that need these (`proxy/stand_ins`) is all that a proxy at work uses.
LATE = ("_datetime", "_heapq", "_opcode", "_posixsubprocess", "_queue")
STAND_INS = (
    "asyncio.base_events", "concurrent.futures", "google.protobuf.descriptor", "inspect",
    "linecache", "selectors", "subprocess", "traceback", "typing",
)  # fmt: skip


def run_to_end(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A proxy that is expected to end by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return subprocess.run(
        [sys.executable, "-m", "linkerd2_py.proxy", *arguments],
        env={**clean, **variables},
        capture_output=True,
        text=True,
        timeout=20 * patience(),
        check=False,
    )


def test_a_bad_environment_is_all_named_at_once_with_status_64() -> None:
    ended = run_to_end(environment(NO_SUCH="1", OUTBOUND_DETECT_TIMEOUT="soon"))
    assert ended.returncode == 64
    first, second = ended.stderr.splitlines()
    assert first.startswith("LINKERD2_PROXY_OUTBOUND_DETECT_TIMEOUT: must be a number with a unit")
    assert second.startswith("LINKERD2_PROXY_NO_SUCH: unknown variable")


def test_what_it_does_not_know_or_not_have_yet_is_a_warning_each(tmp_path: Path) -> None:
    with sidecar_process(
        tmp_path / "log", NO_SUCH="1", INBOUND_GATEWAY_SUFFIXES="svc.cluster.local."
    ) as (_, child):
        found = [line.partition(" WARN ")[2] for line in child.output().splitlines()]
    missed, unknown = (line for line in found if PREFIX in line)
    start = f"linkerd2_py.proxy.run: {PREFIX}"
    assert missed.startswith(f"{start}INBOUND_GATEWAY_SUFFIXES: not used yet: it is no gateway: ")
    assert unknown == f"{start}NO_SUCH: unknown variable"


def test_without_identity_disabled_it_does_not_start() -> None:
    ended = run_to_end({})
    assert ended.returncode == 64
    assert ended.stderr.startswith("LINKERD2_PROXY_IDENTITY_DISABLED: must be set")


def test_files_of_its_identity_that_are_not_there_are_all_named(tmp_path: Path) -> None:
    ended = run_to_end(
        environment(
            IDENTITY_DISABLED="",
            IDENTITY_SVC_ADDR="127.0.0.1:1",
            IDENTITY_TRUST_ANCHORS=Signer().pem.decode(),
            IDENTITY_DIR=str(tmp_path),
            IDENTITY_TOKEN_FILE=str(tmp_path / "token"),
            IDENTITY_LOCAL_NAME=IDENTITY,
            LOG="off",
        )
    )
    assert ended.returncode == 64
    assert ended.stderr.splitlines() == [
        f"{PREFIX}IDENTITY_{variable}: cannot read {tmp_path}/{file}: No such file or directory"
        for variable, file in (("DIR", "key.p8"), ("DIR", "csr.der"), ("TOKEN_FILE", "token"))
    ]


@pytest.mark.parametrize(
    "name", ["OUTBOUND_LISTEN_ADDR", "INBOUND_LISTEN_ADDR", "ADMIN_LISTEN_ADDR"]
)
def test_a_taken_port_is_one_line_with_address_and_variable(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_to_end(environment(**{name: f"127.0.0.1:{port}", "LOG": "off"}))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(
        f"{PREFIX}{name}: cannot listen on 127.0.0.1:{port}: Address already in use"
    )


def test_arguments_are_refused_and_help_is_given() -> None:
    assert run_to_end({}, "--port").returncode == 64
    helped = run_to_end({}, "--help")
    assert helped.returncode == 0
    assert "LINKERD2_PROXY_" in helped.stdout


def test_the_command_line_starts_it_too() -> None:
    argv = [sys.executable, "-c", "from linkerd2_py.cli.main import main; main()", "proxy"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    ended = subprocess.run(
        argv, env=clean, capture_output=True, text=True, timeout=20 * patience(), check=False
    )
    assert ended.returncode == 64


def test_operating_it(tmp_path: Path) -> None:
    with sidecar_process(tmp_path / "log") as (proxy, child):
        assert proxy.ask("GET", "/ready").body == b"ready\n"
        assert proxy.ask("GET", "/live").body == b"live\n"
        assert proxy.ask("HEAD", "/live").status == 200
        assert proxy.ask("GET", "/nothing").status == 404
        assert proxy.ask("POST", "/metrics").status == 405
        assert proxy.ask("POST", "/shutdown").status == 404
        metrics = proxy.ask("GET", "/metrics").body.decode()
        assert "process_open_fds" in metrics
        assert 'proxy_build_info{version="' in metrics
        assert child.terminate() == 0
        assert "received SIGTERM" in child.output()


def test_the_log_level_changes_while_it_runs(tmp_path: Path) -> None:
    with sidecar_process(tmp_path / "log", LOG="warn,linkerd=info") as (proxy, child):
        assert proxy.ask("GET", "/proxy-log-level").body == b"warn,linkerd=info\n"
        call_nobody(proxy, port=1)
        assert "DEBUG" not in child.output()
        assert proxy.ask("PUT", "/proxy-log-level", b"warn,linkerd=debug").status == 204
        call_nobody(proxy, port=2)
        eventually(lambda: "DEBUG" in child.output())
        assert proxy.ask("PUT", "/proxy-log-level", b"nonsense").status == 400


def call_nobody(proxy: Sidecar, *, port: int) -> None:
    """A request that makes discovery say something at debug level."""
    with Http1Client.connect(proxy.outbound) as client:
        wire = f"GET http://0.0.0.0:{port}/ HTTP/1.1\r\nhost: 0.0.0.0:{port}\r\n\r\n"
        assert client.request(wire.encode()).status == 502


def test_json_logs_are_one_object_a_line(tmp_path: Path) -> None:
    with sidecar_process(tmp_path / "log", LOG_FORMAT="json") as (_, child):
        child.terminate()
        lines = [json.loads(line) for line in child.output().splitlines()]
    assert any(line["fields"]["message"].startswith("listening ") for line in lines)
    assert {line["level"] for line in lines} <= {"DEBUG", "INFO"}


def test_shutdown_by_request_where_it_is_allowed(tmp_path: Path) -> None:
    with sidecar_process(tmp_path / "log", SHUTDOWN_ENDPOINT_ENABLED="true") as (proxy, child):
        assert proxy.ask("GET", "/shutdown").status == 405
        assert proxy.ask("POST", "/shutdown").body == b"shutdown\n"
        assert child.wait() == 0


def test_a_reader_of_logs_that_stops_does_not_stop_the_proxy() -> None:
    reader, writer = os.pipe()
    argv = [sys.executable, "-m", "linkerd2_py.proxy"]
    process = subprocess.Popen(argv, stderr=writer, env={**os.environ, **environment()})
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as logs:
            line = logs.readline().decode()
            found = dict(re.findall(r"(\w+)=(\S+)", line))
            proxy = Sidecar({"admin": found["admin"], "outbound": [found["outbound"]]})
            for port in range(1, 1001):  # each makes a line of some 100 bytes; a pipe holds 64 KiB
                call_nobody(proxy, port=port)
            assert proxy.ask("GET", "/ready").status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@contextmanager
def behind(tmp_path: Path, **variables: str) -> Iterator[tuple[RawListener, Sidecar, Child]]:
    """A proxy whose static inbound port leads to a server that the test plays."""
    with RawListener() as server:
        host, port = server.address
        static = f"127.0.0.1:0={host}:{port}"
        with sidecar_process(tmp_path / "log", INBOUND_STATIC_PORTS=static, **variables) as (
            proxy,
            child,
        ):
            yield server, proxy, child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_an_exchange_under_way_is_finished_and_then_closed(
    tmp_path: Path, number: signal.Signals
) -> None:
    with behind(tmp_path) as (server, proxy, child):
        with Http1Client.connect(proxy.static(direction="inbound")) as client:
            client.send(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
            with server.accept() as peer:
                peer.receive_until(b"\r\n\r\n")
                for ignored in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                    child.send(ignored)
                    child.wait_for_line(f"received {ignored.name}, which means nothing")
                assert proxy.ask("GET", "/ready").status == 200
                child.send(number)
                eventually(lambda: proxy.ask("GET", "/ready").status == 503)
                child.send(number)  # a second one changes nothing
                peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                answer = client.answer()
                assert (answer.status, answer.body, answer.one("connection")) == (
                    200,
                    b"ok",
                    "close",
                )
                assert client.receive_to_end() == (b"", End.FIN)
        assert child.wait() == 0


def test_new_connections_are_refused_while_it_drains(tmp_path: Path) -> None:
    with behind(tmp_path) as (server, proxy, child):
        address = proxy.static(direction="inbound")
        with Http1Client.connect(address) as client:
            client.send(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
            with server.accept() as peer:
                peer.receive_until(b"\r\n\r\n")
                child.send(signal.SIGTERM)
                eventually(lambda: proxy.ask("GET", "/ready").status == 503)
                with pytest.raises(ConnectionRefusedError):
                    RawConnection.connect(address)
                peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
                assert client.answer().status == 204
        assert child.wait() == 0


def test_an_idle_connection_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with (
        behind(tmp_path) as (server, proxy, child),
        Http1Client.connect(proxy.static(direction="inbound")) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
        with server.accept() as peer:
            peer.receive_until(b"\r\n\r\n")
            peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            assert client.answer().status == 204
            assert child.terminate() == 0


def test_a_tcp_stream_may_finish(tmp_path: Path) -> None:
    with RawListener() as server:
        host, port = server.address
        static = f"127.0.0.1:0={host}:{port}/opaque"
        with sidecar_process(tmp_path / "log", INBOUND_STATIC_PORTS=static) as (proxy, child):
            with (
                RawConnection.connect(proxy.static(direction="inbound")) as client,
                server.accept() as peer,
            ):
                peer.send(b"hello")
                assert client.receive(5) == b"hello"
                child.send(signal.SIGINT)
                eventually(lambda: proxy.ask("GET", "/ready").status == 503)
                client.send(b"still here")
                assert peer.receive(10) == b"still here"
                client.half_close()
                peer.receive_to_end()
                peer.half_close()
            assert child.wait() == 0


def test_what_outlives_the_grace_period_is_reset(tmp_path: Path) -> None:
    with (
        behind(tmp_path, SHUTDOWN_GRACE_PERIOD="300ms") as (server, proxy, child),
        Http1Client.connect(proxy.static(direction="inbound")) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
        with server.accept() as peer:
            peer.receive_until(b"\r\n\r\n")
            assert child.terminate() == 0
            assert client.receive_to_end() == (b"", End.RESET)


def test_the_inbound_port_leads_only_to_this_workload(tmp_path: Path) -> None:
    with sidecar_process(tmp_path / "log") as (proxy, _):
        for authority in (
            f"127.0.0.1:{proxy.admin[1]}",
            "192.0.2.1:80",
            "web.ns.svc.cluster.local",
        ):
            with Http1Client.connect(proxy.inbound) as client:
                wire = f"GET /live HTTP/1.1\r\nhost: {authority}\r\n\r\n"
                assert client.request(wire.encode()).status == 404


def test_the_process_loads_nothing_heavy(tmp_path: Path) -> None:
    with sidecar_process(tmp_path / "log") as (proxy, child):
        assert proxy.ask("GET", "/metrics").status == 200
        try:
            maps = Path(f"/proc/{child.pid}/maps").read_text()
        except PermissionError:
            pytest.skip("only root may look into a process that forbids dumps")
    files = {line.split()[-1] for line in maps.splitlines() if ".so" in line}
    loaded = {
        name
        for name in (*HEAVY, *LATE)
        for file in files
        if re.search(rf"/{re.escape(name)}[./]", file)
    }
    assert loaded == set()
    # The engine is one file, whatever it is made of.
    assert len([file for file in files if "/_ext/" in file]) == 1
    assert any("_ext/engine" in file for file in files)


def test_the_modules_a_proxy_imports() -> None:
    script = (
        "import sys, json; from linkerd2_py.proxy.stand_ins import stand_in; stand_in(); "
        "import linkerd2_py.proxy.run; "
        "print(json.dumps({n: bool(getattr(m, '__spec__', None)) for n, m in sys.modules.items()}))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = json.loads(out.stdout)
    roots = {name.partition(".")[0] for name in modules}
    # `ssl` is the stand-in.
    assert roots & {*HEAVY, "pathlib", "urllib", "ipaddress", "email", "http", "unittest"} == {
        "ssl"
    }
    assert {"asyncio", "uvloop", "google", "linkerd2_py"} <= roots
    assert [name for name in STAND_INS if modules[name]] == []
    # The engine reads and writes the transport header by itself.
    assert "linkerd2_py.proto.gen.destination_pb2" in modules
    assert "linkerd2_py.proto.gen.transport_header_pb2" not in modules


def test_an_idle_proxy_is_small(tmp_path: Path) -> None:
    with sidecar_process(tmp_path / "log") as (proxy, child):
        assert proxy.ask("GET", "/ready").status == 200
        status = Path(f"/proc/{child.pid}/status").read_text()
    found = {
        name: int(number)
        for name, number in re.findall(r"^(\w+):\s+(\d+) kB", status, re.MULTILINE)
    }
    # Above what we measure (25 and 11 MiB) by what versions of Python and its libraries differ.
    assert found["VmRSS"] < 32 * 1024
    assert found["RssAnon"] < 14 * 1024


def test_http2_clients_are_told_to_go_away_and_finish(tmp_path: Path) -> None:
    with (
        behind(tmp_path) as (server, proxy, child),
        RawConnection.connect(proxy.static(direction="inbound")) as client,
        RawConnection.connect(proxy.static(direction="inbound")) as idle,
    ):
        codec = h2.connection.H2Connection()
        codec.initiate_connection()
        idle.send(codec.data_to_send())
        client.send(H2_PREFACE)
        codec.send_headers(1, H2_REQUEST, end_stream=True)
        client.send(codec.data_to_send())
        with server.accept() as peer:
            peer_codec = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            peer_codec.initiate_connection()
            peer.send(peer_codec.data_to_send())
            while not any(
                isinstance(one, h2.events.RequestReceived)
                for one in peer_codec.receive_data(peer.sock.recv(65536))
            ):
                pass
            child.send(signal.SIGTERM)
            until_frame(client, H2_GOAWAY)
            peer_codec.send_headers(1, [(":status", "200")])
            peer_codec.send_data(1, b"ok", end_stream=True)
            peer.send(peer_codec.data_to_send())
            assert until_frame(client, H2_DATA) == b"ok"
            assert client.receive_to_end()[1] is End.FIN
        assert idle.receive_to_end()[1] is End.FIN
        assert child.wait() == 0


H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"
H2_REQUEST = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "web")]
H2_DATA, H2_GOAWAY = 0, 7


def until_frame(connection: RawConnection, kind: int) -> bytes:
    """The payload of the next frame of that kind."""
    while True:
        head = connection.receive(9)
        payload = connection.receive(int.from_bytes(head[:3]))
        if head[3] == kind and (payload or kind != H2_DATA):
            return payload
