"""What a transparent mesh does to traffic: ends of streams, lost packets, ports and networks that are
skipped, churn.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.local.mesh_cli import MeshCli, edit, mesh_up
from tests.integration.local.transparent_mesh import count, netns_of, pods
from tests.integration.local.transparent_mesh import inside as inside_pod
from tests.support.netns import inside, sh
from tests.support.wait import eventually, patience

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# Does with a connection what its first two bytes say, and writes what it saw of its end. The first of them is
# of no HTTP.
ENDS = """
import os, socket, struct, threading
RESET = struct.pack("ii", 1, 0)
def serve(peer):
    command = peer.recv(2)
    if command == b"\\0e":      # echo, but only after the client has ended its half
        data = b"".join(iter(lambda: peer.recv(65536), b""))
        peer.sendall(data)
    elif command == b"\\0h":    # ends its half first, then reads on
        peer.sendall(b"bye"); peer.shutdown(socket.SHUT_WR)
        print("after my end:", b"".join(iter(lambda: peer.recv(65536), b"")), flush=True)
    elif command == b"\\0r":    # resets in the middle
        peer.sendall(b"half"); peer.recv(1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    elif command == b"\\0w":    # waits for the client's end
        peer.sendall(b".")
        try:
            print("the client ended:", peer.recv(1), flush=True)
        except ConnectionResetError:
            print("the client reset", flush=True)
    peer.close()
listener = socket.create_server(("0.0.0.0", int(os.environ["PORT"])))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
# An HTTP server that tells who it saw.
WHO = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Who(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        size = int(self.headers.get("content-length", 0))
        body = self.rfile.read(size) or self.client_address[0].encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *words): pass
ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Who).serve_forever()
"""
MESH = """
namespace: shop
services:
  ends: {port: 7000, workload: ends}
  who: {port: 80, targetPort: 8080, workload: who}
  cache: {port: 6379, workload: cache}
workloads:
  ends: {command: [python, ends.py]}
  who: {command: [python, who.py], replicas: 2, ready: {http: 8080}}
  cache: {command: [redis-server, --bind, 0.0.0.0, --port, "6379", --save, "", --protected-mode, "no", --dir, /tmp]}
  caller: {command: [sleep, infinity]}
  outsider: {command: [sleep, infinity], meshed: false}
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    with mesh_up(
        tmp_path_factory.mktemp("traffic"),
        {"ends.py": ENDS, "who.py": WHO, "mesh.yaml": MESH},
        mode="transparent",
    ) as made:
        yield made


def _python(cli: MeshCli, pod: str, script: str, *, timeout_s: float = 60) -> str:
    words = (sys.executable, "-c", script)
    return cli.ok("local", "exec", pod, "--", *words, timeout_s=timeout_s).strip()


def _open_connections(cli: MeshCli, pod: str, direction: str) -> float:
    return count(cli, pod, "tcp_open_total", direction=direction, peer="src")


# Names


@pytest.mark.parametrize("caller", ["caller-0", "outsider-0"])
def test_every_address_of_a_name_leads_to_a_program_that_listens_on_ipv4_only(
    cli: MeshCli, caller: str
) -> None:
    for family in ("-4", "-6"):
        shown = inside_pod(
            cli, caller, "curl", family, "-sS", "-m", "10", "-w", " %{http_code}", "http://who/"
        )
        assert shown.endswith(" 200"), shown
    script = """
import socket
for family in (socket.AF_INET, socket.AF_INET6):
    found = socket.getaddrinfo("cache", 6379, family, socket.SOCK_STREAM)[0]
    with socket.socket(*found[:3]) as s:
        s.settimeout(20); s.connect(found[4]); s.sendall(b"PING\\r\\n"); print(s.recv(7))
"""
    assert _python(cli, caller, script).splitlines() == ["b'+PONG\\r\\n'"] * 2


# Ends of streams


def test_a_half_that_ended_first_is_told_and_the_other_goes_on(cli: MeshCli) -> None:
    script = """
import socket
with socket.create_connection(("ends", 7000), 20) as s:
    s.sendall(b"\\0e" + bytes(range(256)) * 4000); s.shutdown(socket.SHUT_WR)
    back = b"".join(iter(lambda: s.recv(65536), b""))
print(back == bytes(range(256)) * 4000)
with socket.create_connection(("ends", 7000), 20) as s:
    s.sendall(b"\\0h")
    print(b"".join(iter(lambda: s.recv(9), b"")))
    s.sendall(b"still here")
"""
    assert _python(cli, "caller-0", script).splitlines() == ["True", "b'bye'"]
    log = "ends-0"
    eventually(lambda: "after my end: b'still here'" in cli.ok("local", "logs", log, "-c", "app"))


def test_a_reset_is_a_reset_on_the_other_side(cli: MeshCli) -> None:
    script = """
import socket, struct
with socket.create_connection(("ends", 7000), 20) as s:
    s.sendall(b"\\0r"); print(s.recv(4)); s.sendall(b"x")
    try:
        print(s.recv(1))
    except ConnectionResetError:
        print("reset")
s = socket.create_connection(("ends", 7000), 20)
s.sendall(b"\\0w"); s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
with socket.create_connection(("ends", 7000), 20) as s:
    s.sendall(b"\\0w"); s.recv(1)
"""
    assert _python(cli, "caller-0", script).splitlines() == ["b'half'", "reset"]

    def heard() -> bool:
        text = cli.ok("local", "logs", "ends-0", "-c", "app")
        return "the client reset" in text and "the client ended: b''" in text

    eventually(heard)


def test_redis_answers_its_client(cli: MeshCli) -> None:
    words = ("redis-cli", "-h", "cache", "--no-auth-warning")
    before = _open_connections(cli, "cache-0", "inbound")
    assert cli.ok("local", "exec", "caller-0", "--", *words, "set", "answer", "42") == "OK\n"
    assert cli.ok("local", "exec", "outsider-0", "--", *words, "get", "answer") == "42\n"
    assert _open_connections(cli, "cache-0", "inbound") >= before + 2


# Lost packets


def test_one_packet_in_a_hundred_lost_loses_no_byte(cli: MeshCli) -> None:
    """Bulk and small exchanges through both proxies; what comes to either pod is dropped now and then."""
    lossy = [netns_of(cli, pod) for pod in ("caller-0", "who-0", "who-1")]
    chance = ("-m", "statistic", "--mode", "random", "--probability", "0.01")
    drop = ("INPUT", "-i", "eth0", "-p", "tcp", *chance, "-j", "DROP")
    for netns in lossy:
        inside(netns, "iptables", "-A", *drop)
    script = """
import hashlib, http.client, os
body = os.urandom(4_000_000)
c = http.client.HTTPConnection("who", 80, timeout=50)
c.request("POST", "/", body)
same = c.getresponse().read() == body
good = 0
for _ in range(300):
    c.request("GET", "/")
    good += c.getresponse().read() != b""
print(same, good)
"""
    try:
        assert _python(cli, "caller-0", script, timeout_s=100) == "True 300"
        counted = [inside(netns, "iptables", "-nvxL", "INPUT").stdout for netns in lossy]
    finally:
        for netns in lossy:
            inside(netns, "iptables", "-D", *drop)
    drops = [
        int(line.split()[0]) for text in counted for line in text.splitlines() if "DROP" in line
    ]
    assert sum(drops) > 0


# Ports and networks that are skipped

FLAGS = ("-p", "4143", "-o", "4140", "--proxy-uid", "2102", "-w")
USUAL = ("--inbound-ports-to-ignore", "4190,4191")


def _redirect(cli: MeshCli, pod: str, *words: str) -> None:
    program = (sys.executable, "-m", "linkerd2_py.proxy.pod.init")
    sh(*program, "--netns", netns_of(cli, pod), *FLAGS, *words)


def _seen_by(cli: MeshCli, server: str, client: str) -> str:
    """Whose address a server saw."""
    url = f"http://{pods(cli)[server]['ip']}:8080/"
    return cli.ok("local", "exec", client, "--", "curl", "-sS", "-m", "10", url)


@pytest.mark.parametrize("flag", ["port", "subnet"])
def test_what_is_skipped_inbound_comes_straight_to_the_program(cli: MeshCli, flag: str) -> None:
    server, stranger = pods(cli)["who-0"]["ip"], pods(cli)["outsider-0"]["ip"]
    assert _seen_by(cli, "who-0", "outsider-0") == server
    skipped = {
        "port": ("--inbound-ports-to-ignore", "4190,4191,8000-8100"),
        "subnet": (*USUAL, "--subnets-to-ignore", f"{stranger}/32"),
    }[flag]
    _redirect(cli, "who-0", *skipped)
    try:
        before = _open_connections(cli, "who-0", "inbound")
        assert _seen_by(cli, "who-0", "outsider-0") == stranger
        assert _open_connections(cli, "who-0", "inbound") == before
    finally:
        _redirect(cli, "who-0", *USUAL)
    assert _seen_by(cli, "who-0", "outsider-0") == server


def test_what_is_skipped_outbound_goes_past_the_proxy(cli: MeshCli) -> None:
    _seen_by(cli, "who-0", "caller-0")
    before = _open_connections(cli, "caller-0", "outbound")
    _redirect(cli, "caller-0", *USUAL, "--outbound-ports-to-ignore", "8080")
    try:
        assert _seen_by(cli, "who-0", "caller-0") == pods(cli)["who-0"]["ip"]
        assert _open_connections(cli, "caller-0", "outbound") == before
    finally:
        _redirect(cli, "caller-0", *USUAL)
    _seen_by(cli, "who-0", "caller-0")
    assert _open_connections(cli, "caller-0", "outbound") == before + 1


def test_the_proxys_own_user_is_left_alone(cli: MeshCli) -> None:
    before = _open_connections(cli, "caller-0", "outbound")
    server = pods(cli)["who-0"]["ip"]
    for uid, counted in ((2102, 0), (2103, 1)):
        words = ("setpriv", f"--reuid={uid}", "--clear-groups", "curl", "-sS", "-m", "10")
        sh("ip", "netns", "exec", netns_of(cli, "caller-0"), *words, f"http://{server}:8080/")
        assert _open_connections(cli, "caller-0", "outbound") == before + counted


# Endpoints that come and go


def test_replicas_come_and_go_under_load_without_a_failure(cli: MeshCli) -> None:
    """By service name and virtual address, every request on a connection of its own or on a kept one."""
    script = """
import http.client, os, sys, time
statuses, end = {}, time.monotonic() + 25
kept = http.client.HTTPConnection("who", 80, timeout=10)
while not os.path.exists(sys.argv[1]) and time.monotonic() < end:
    for connection in (kept, http.client.HTTPConnection("who", 80, timeout=10)):
        connection.request("GET", "/")
        answer = connection.getresponse(); answer.read()
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        if connection is not kept:
            connection.close()
print(statuses)
"""
    done = cli.root / "scaled"
    argv = ["local", "exec", "caller-0", "--", sys.executable, "-c", script, str(done)]
    with subprocess.Popen(
        [sys.executable, "-m", "linkerd2_py.cli.main", *argv],
        env=cli.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as load:  # fmt: skip
        try:
            for before, after in ((2, 4), (4, 1), (1, 2)):
                _scale(cli, before=before, after=after)
        finally:
            done.touch()
            out, err = load.communicate(timeout=60 * patience())
    assert load.returncode == 0, err
    assert out.startswith("{200: ") and "," not in out, out
    assert int(out.strip(" {}\n").partition(": ")[2]) > 20


def _scale(cli: MeshCli, *, before: int, after: int) -> None:
    edit(cli.root / "mesh.yaml", rf"who.py\], replicas: {before}", f"who.py], replicas: {after}")

    def done() -> bool:
        found = [pod for name, pod in pods(cli).items() if name.startswith("who-")]
        return len(found) == after and all(pod["ready"] for pod in found)

    eventually(done, deadline_s=30)


def test_bodies_of_http2_calls_and_their_trailers_arrive(cli: MeshCli, tmp_path: Path) -> None:
    """gRPC with grpcio on both sides: the sample's emoji service, called by a client in another pod."""
    with (cli.root / "mesh.yaml").open("r+") as file:
        text = file.read().replace(
            "workloads:\n",
            "  emoji: {port: 8080, workload: emoji}\nworkloads:\n"
            "  emoji: {command: [python, -m, linkerd2_py.controlplane.local.sample.emoji]}\n",
        )
        file.seek(0)
        file.write(text)
    eventually(lambda: pods(cli).get("emoji-0", {}).get("ready"), deadline_s=30)
    script = """
import grpc
from linkerd2_py.controlplane.local.sample.gen import emojivoto_pb2 as pb
channel = grpc.insecure_channel("emoji:8080", [("grpc.enable_http_proxy", 0)])
call = channel.unary_unary("/emojivoto.v1.EmojiService/ListAll", pb.ListAllRequest.SerializeToString, pb.ListAllReply.FromString)
print(len(call(pb.ListAllRequest(), timeout=20, wait_for_ready=True).emoji) > 10)
missing = channel.unary_unary("/emojivoto.v1.EmojiService/NoSuchMethod")
try:
    missing(b"", timeout=20)
except grpc.RpcError as error:
    print(error.code().name)
"""
    assert _python(cli, "caller-0", script).splitlines() == ["True", "UNIMPLEMENTED"]
    assert cli.json("stat", "deploy/emoji", "-t", "30s")[0]["meshed"] == "1/1"
