"""A transparent mesh: programs without any setting of a proxy, in namespaces that leave nothing behind."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest

from linkerd2_py.controlplane.local import state_dir
from linkerd2_py.controlplane.local.netns import socket_in
from tests.integration.local.mesh_cli import ENTRY, MeshCli, assert_ended, edit
from tests.support.netns import as_user, namespace, sh
from tests.support.privileges import need_root
from tests.support.wait import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# nginx as Debian has it: nothing in its configuration or environment speaks of a mesh.
NGINX = """\
daemon off;
master_process off;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 8080;
        listen [::]:8080;
        location / {{ return 200 "$remote_addr $http_host\\n"; }}
    }}
}}
"""
# Speaks first, and to whoever sends nothing.
GREETER = """
import os, socket
listener = socket.create_server(("0.0.0.0", int(os.environ["PORT"])))
while True:
    peer, _ = listener.accept()
    peer.sendall(b"welcome\\n")
    peer.close()
"""
MESH = """
namespace: shop
services:
  files: {{port: 80, targetPort: 8080, workload: files}}
  peers: {{port: 8080, workload: files, clusterIP: None}}
  greet: {{port: 2525, workload: greeter, opaque: true}}
workloads:
  files:
    command: [sh, -c, 'exec nginx -p {folder} -e stderr -c {folder}/nginx.conf -g "pid {folder}/$POD_NAME.pid;"']
    replicas: 2
  greeter: {{command: [python, greeter.py]}}
  reader: {{command: [sleep, infinity]}}
  outsider: {{command: [sleep, infinity], meshed: false}}
"""


class Machine:
    """What of the machine a mesh may change, as text."""

    def __init__(self) -> None:
        self.before = self.now()

    def now(self) -> dict[str, str]:
        commands = {
            "namespaces": "ip netns list",
            "links": "ip -o link show | sed 's/ qlen.*//; s/^[0-9]*: //'",
            "routes": "ip route show table all; ip -6 route show table all",
            "rules": "iptables-save",
            "forwarding": "cat /proc/sys/net/ipv4/ip_forward",
        }
        return {
            name: subprocess.run(
                ["sh", "-c", text], capture_output=True, text=True, check=True
            ).stdout
            for name, text in commands.items()
        }

    def is_as_before(self) -> bool:
        now = self.now()
        # Loading rules once makes empty tables.
        return all(_lines(now[name]) <= _lines(self.before[name]) for name in now)


def _lines(text: str) -> set[str]:
    """Those that speak of a mesh: everything else on this machine comes and goes by itself."""
    return {line for line in text.splitlines() if re.search(r"\bl5d\d|^\d+$", line)}


@pytest.fixture
def machine() -> Machine:
    need_root()
    return Machine()


def _make(root: Path) -> MeshCli:
    made = MeshCli(root)
    (root / "temporary").mkdir()
    (root / "nginx.conf").write_text(NGINX.format(folder=root / "temporary"))
    (root / "greeter.py").write_text(GREETER)
    (root / "mesh.yaml").write_text(MESH.format(folder=root))
    return made


def _up(cli: MeshCli, *words: str) -> str:
    return cli.ok("local", "up", "--transparent", "-f", "mesh.yaml", "-d", *words, timeout_s=120)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    """One running mesh for all tests that only look."""
    need_root()
    made = _make(tmp_path_factory.mktemp("transparent"))
    _up(made)
    yield made
    made.stop()


def _inside(cli: MeshCli, pod: str, *command: str) -> str:
    return cli.ok("local", "exec", pod, "--", *command)


def _get(cli: MeshCli, pod: str, *words: str) -> tuple[str, str]:
    """Who nginx saw, and the Host it was asked for."""
    client, host = _inside(cli, pod, "curl", "-sS", "-m", "10", *words).split()
    return client, host


def _pods(cli: MeshCli) -> dict[str, Any]:
    return {pod["name"]: pod for pod in cli.json("get", "pods")}


def _count(cli: MeshCli, pod: str, family: str, **labels: str) -> float:
    metrics = cli.ok("diagnostics", "proxy-metrics", f"po/{pod}")
    total = 0.0
    for line in metrics.splitlines():
        if line.startswith(family + "{") and all(f'{k}="{v}"' in line for k, v in labels.items()):
            total += float(line.rpartition(" ")[2])
    return total


def test_programs_have_no_setting_of_a_proxy(cli: MeshCli) -> None:
    environment = _environment_of(cli, "nginx")
    assert not [name for name in environment if "proxy" in name.lower()]
    assert "POD_NAME" in environment


def _environment_of(cli: MeshCli, program: str) -> dict[str, str]:
    found = next(one for one in cli.family() if one.name() == program)
    return found.environ()


def test_names_lead_through_both_proxies(cli: MeshCli) -> None:
    before = _count(cli, "reader-0", "request_total", direction="outbound")
    for name in ("files", "files.shop", "files.shop.svc", "files.shop.svc.cluster.local"):
        client, host = _get(cli, "reader-0", f"http://{name}/")
        assert host == name
        # The server's proxy is what nginx sees: at its own address.
        assert client in {_pods(cli)[pod]["ip"] for pod in ("files-0", "files-1")}
    assert _count(cli, "reader-0", "request_total", direction="outbound") == before + 4
    assert _count(cli, "reader-0", "response_total", dst_service="files", dst_namespace="shop") >= 4


def test_services_are_reached_by_either_family(cli: MeshCli) -> None:
    addresses = _inside(cli, "reader-0", "getent", "ahosts", "files").split()
    assert {":" in word for word in addresses if "." in word or ":" in word} == {True, False}
    for flag in ("-4", "-6"):
        _, host = _get(cli, "reader-0", flag, "http://files/")
        assert host == "files"


def test_a_headless_service_is_its_pods(cli: MeshCli) -> None:
    found = set(
        re.findall(r"^\S+", _inside(cli, "reader-0", "getent", "ahostsv4", "peers"), re.MULTILINE)
    )
    assert found == {_pods(cli)[pod]["ip"] for pod in ("files-0", "files-1")}
    client, host = _get(cli, "reader-0", "-4", "http://files-1.peers.shop.svc.cluster.local:8080/")
    assert client == _pods(cli)["files-1"]["ip"]
    assert host.startswith("files-1.peers")


def test_a_host_header_never_moves_a_request(cli: MeshCli) -> None:
    address = _pods(cli)["files-0"]["ip"]
    for other in ("greet:2525", _pods(cli)["files-1"]["ip"] + ":8080", "reader-0"):
        client, host = _get(cli, "reader-0", "-H", f"Host: {other}", f"http://{address}:8080/")
        assert (client, host) == (address, other)


def test_servers_that_speak_first_are_heard_at_once(cli: MeshCli) -> None:
    heard = _inside(
        cli, "reader-0", sys.executable, "-c",
        "import socket; s = socket.create_connection(('greet', 2525), 5); print(s.recv(99))",
    )  # fmt: skip
    assert heard == "b'welcome\\n'\n"


def test_a_pod_calls_its_own_service_and_itself(cli: MeshCli) -> None:
    for _ in range(4):
        assert _get(cli, "files-0", "http://files/")[1] == "files"
    own = _pods(cli)["files-0"]["ip"]
    before = _count(cli, "files-0", "tcp_open_total")
    assert _get(cli, "files-0", f"http://{own}:8080/")[0] == own
    assert _get(cli, "files-0", "http://127.0.0.1:8080/")[0] == "127.0.0.1"
    # What a program says to itself is nobody else's business.
    assert _count(cli, "files-0", "tcp_open_total", direction="outbound", peer="src") <= before


def test_unmeshed_pods_reach_services_too(cli: MeshCli) -> None:
    for flag in ("-4", "-6"):
        assert _get(cli, "outsider-0", flag, "http://files/")[1] == "files"
    refused = cli.run(
        "local", "exec", "outsider-0", "--", "curl", "-sS", "-m", "5", "http://files:81/"
    )
    assert refused.status == 7, refused


def test_what_is_not_tcp_is_left_alone(cli: MeshCli) -> None:
    peer = _pods(cli)["files-0"]
    assert "1 received" in _inside(cli, "reader-0", "ping", "-c1", "-W2", peer["ip"])
    answer = _inside(cli, "reader-0", sys.executable, "-c", UDP_QUESTION)
    assert answer.strip() == "answered"


UDP_QUESTION = """
import re, socket, struct
server = re.search(r"nameserver (\\S+)", open("/etc/resolv.conf").read())[1]
query = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"\\5files\\4shop\\3svc\\7cluster\\5local\\0\\0\\1\\0\\1"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.sendto(query, (server, 53))
answer, peer = s.recvfrom(512)
print("answered" if answer[:2] == query[:2] and peer[0] == server else peer)
"""


def test_addresses_outside_the_mesh_are_reached_unchanged(cli: MeshCli, tmp_path: Path) -> None:
    """The host itself is outside: a server of its own, at an address the mesh does not know."""
    host = _inside(cli, "reader-0", "sh", "-c", "ip route get 198.51.100.1 | head -1")
    assert "via" in host
    outside = _outside_address()
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", "0", "--bind", outside, "-d", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"port (\d+)", server.stdout.readline())
            assert found is not None
            url = f"http://{outside}:{found[1]}/"
            before = _count(cli, "reader-0", "request_total", target_ip=outside)
            assert "Directory listing" in _inside(cli, "reader-0", "curl", "-sS", "-m", "10", url)
            assert "Directory listing" in _inside(cli, "outsider-0", "curl", "-sS", "-m", "10", url)
            assert _count(cli, "reader-0", "request_total", target_ip=outside) == before + 1
        finally:
            server.kill()


def _outside_address() -> str:
    links = json.loads(
        subprocess.run(
            ["ip", "-json", "-4", "addr"], capture_output=True, text=True, check=True
        ).stdout
    )
    found = [
        one["local"]
        for link in links
        for one in link["addr_info"]
        if link["ifname"] != "lo" and not link["ifname"].startswith("l5d")
    ]
    assert found, "this machine has no address but loopback"
    return str(found[0])


WHO_ASKS = """
import socket
server = socket.create_server(("198.51.100.2", 0))
print(server.getsockname()[1], flush=True)
while True:
    peer, address = server.accept()
    peer.recv(999)
    body = address[0].encode()
    peer.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\nconnection: close\\r\\n\\r\\n%s" % (len(body), body))
    peer.close()
"""


@contextmanager
def _another_machine() -> Iterator[str]:
    """One hop behind the host, which drops what nobody lets through, as with Docker; gives the URL of its server."""
    with namespace() as outside:
        sh(
            "ip",
            "link",
            "add",
            "l5dt-out",
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            outside,
        )
        sh("ip", "addr", "add", "198.51.100.1/24", "dev", "l5dt-out")
        sh("ip", "link", "set", "l5dt-out", "up")
        sh("ip", "-n", outside, "addr", "add", "198.51.100.2/24", "dev", "eth0")
        sh("ip", "-n", outside, "link", "set", "eth0", "up")
        sh("iptables", "-P", "FORWARD", "DROP")
        argv = ["ip", "netns", "exec", outside, sys.executable, "-c", WHO_ASKS]
        try:
            with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout is not None
                yield f"http://198.51.100.2:{server.stdout.readline().strip()}/"
                server.kill()
        finally:
            sh("iptables", "-P", "FORWARD", "ACCEPT")


def test_other_machines_are_reached_as_the_host(cli: MeshCli) -> None:
    with _another_machine() as url:
        for pod in ("reader-0", "outsider-0"):
            seen = _inside(cli, pod, "curl", "-sS", "-m", "10", url)
            assert seen == "198.51.100.1"


def test_networks_of_others_are_left_alone(machine: Machine, tmp_path: Path) -> None:
    """A bridge and a namespace that look like ours in everything but the name."""
    made = _make(tmp_path)
    sh("ip", "link", "add", "l5dt-br", "type", "bridge")
    try:
        sh("ip", "addr", "add", "10.209.0.1/16", "dev", "l5dt-br")
        sh("ip", "link", "set", "l5dt-br", "up")
        with namespace():
            before = Machine()
            _up(made)
            assert not _pods(made)["files-0"]["ip"].startswith("10.209.")
            assert _get(made, "reader-0", "http://files/")[1] == "files"
            made.ok("local", "down")
            eventually(before.is_as_before)
    finally:
        made.stop()
        sh("ip", "link", "del", "l5dt-br")
    eventually(machine.is_as_before)


def test_proxies_run_as_a_user_of_their_own(cli: MeshCli) -> None:
    proxies = [one for one in cli.family() if "linkerd2_py.proxy" in one.cmdline()]
    assert len(proxies) >= 4
    assert {one.uids().effective for one in proxies} == {2102}
    capabilities = {
        re.search(r"CapEff:\t(\w+)", Path(f"/proc/{one.pid}/status").read_text())[1]  # type: ignore[index]
        for one in proxies
    }
    # To read files where the interpreter is in a closed home folder; nothing else.
    assert {int(bits, 16) & ~(1 << 2) for bits in capabilities} == {0}


def test_a_killed_proxy_lets_nothing_through_and_comes_back(cli: MeshCli) -> None:
    proxy = next(
        one
        for one in cli.family()
        if "linkerd2_py.proxy" in one.cmdline()
        and '"reader-0"' in one.environ()["LINKERD2_PROXY_DESTINATION_CONTEXT"]
    )
    server = _pods(cli)["files-0"]["ip"]
    netns = f"{cli.state()['network']}-reader-0"
    proxy.kill()
    proxy.wait()
    direct = socket_in(netns, family=socket.AF_INET, kind=socket.SOCK_STREAM)
    with direct, pytest.raises(ConnectionRefusedError):
        direct.connect((server, 8080))

    def works() -> bool:
        words = ("curl", "-sS", "-m", "5", f"http://{server}:8080/")
        done = cli.run("local", "exec", "reader-0", "--", *words)
        # Nobody but a proxy ever reaches the server: it sees that of its own pod.
        assert done.status == 7 or done.out.split()[0] == server, done
        return done.status == 0

    eventually(works)
    assert _pods(cli)["reader-0"]["restarts"] >= 1


def test_wrong_use_is_one_line(cli: MeshCli) -> None:
    done = cli.run("local", "exec", "nobody-7", "--", "true")
    assert (done.status, done.out) == (1, "")
    assert "there is no pod 'nobody-7' in this mesh; there are: files-0" in done.err
    unknown = cli.run("local", "exec", "reader-0", "--", "no-such-command")
    assert unknown.status == 127
    assert unknown.err == "cannot start 'no-such-command': No such file or directory\n"


def test_down_leaves_the_machine_as_it_was(machine: Machine, tmp_path: Path) -> None:
    made = _make(tmp_path)
    try:
        _up(made)
        assert not machine.is_as_before()
        family = made.family()
        label = made.state()["network"]
        edit(tmp_path / "mesh.yaml", "replicas: 2", "replicas: 1")
        eventually(lambda: f"{label}-files-1" not in machine.now()["namespaces"])
        made.ok("local", "down")
        assert_ended(family)
        assert {path.name for path in (tmp_path / "state").iterdir()} == {"lock", "logs"}
    finally:
        made.stop()
    eventually(machine.is_as_before)


def test_a_killed_supervisor_leaves_nothing(machine: Machine, tmp_path: Path) -> None:
    made = _make(tmp_path)
    try:
        _up(made)
        family = made.family()
        os.kill(made.state()["pid"], signal.SIGKILL)
        assert_ended(family)
        eventually(machine.is_as_before, deadline_s=20)
        eventually(lambda: not (tmp_path / "state" / "etc").exists())
    finally:
        made.stop()


def test_the_next_up_removes_what_could_not_be_removed(machine: Machine, tmp_path: Path) -> None:
    made = _make(tmp_path)
    try:
        _up(made)
        family = made.family()
        label = made.state()["network"]
        # Guard first: nobody is left to clean up.
        guard = next(one for one in family if one.cmdline()[-1].endswith("guard.py"))
        guard.kill()
        os.kill(made.state()["pid"], signal.SIGKILL)
        assert_ended(family)
        assert f"{label}-files-0" in machine.now()["namespaces"]
        _up(made)
        assert f"removed what the mesh {label} had left" in made.logs()
        made.ok("local", "down")
    finally:
        made.stop()
    eventually(machine.is_as_before)


def test_ctrl_c_leaves_nothing(machine: Machine, tmp_path: Path) -> None:
    made = _make(tmp_path)
    words = [*ENTRY[1:], "local", "up", "--transparent", "-f", "mesh.yaml"]
    child = pexpect.spawn(
        ENTRY[0],
        words,
        env=made.env | {"TERM": "xterm"},
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    child.expect("√.* network 10")
    child.expect("NAME +MESHED")
    family = made.family()
    child.sendintr()
    child.expect("stopping")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert_ended(family)
    eventually(machine.is_as_before)


def test_two_meshes_run_side_by_side(cli: MeshCli, tmp_path: Path) -> None:
    other = _make(tmp_path)
    try:
        _up(other)
        assert other.state()["network"] != cli.state()["network"]
        ours, theirs = _pods(cli)["files-0"]["ip"], _pods(other)["files-0"]["ip"]
        assert ours.split(".")[:2] != theirs.split(".")[:2]
        assert _get(other, "reader-0", "http://files/")[1] == "files"
        other.ok("local", "down")
    finally:
        other.stop()
    assert _get(cli, "reader-0", "http://files/")[1] == "files"


def test_without_root_it_is_one_line(tmp_path: Path) -> None:
    need_root()
    nobody = pwd.getpwnam("nobody").pw_uid
    done = sh(*as_user(nobody, [*ENTRY, "local", "up", "--transparent"]), check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "needs root: run it with sudo" in done.stderr


def test_a_program_that_is_missing_is_named_with_its_package(
    machine: Machine, tmp_path: Path
) -> None:
    made = _make(tmp_path)
    (tmp_path / "bin").mkdir()
    ip = shutil.which("ip")
    assert ip is not None
    (tmp_path / "bin" / "ip").symlink_to(ip)
    done = sh(
        *("env", f"PATH={tmp_path / 'bin'}", f"LINKERD2_PY_STATE_DIR={tmp_path / 'state'}"),
        *(*ENTRY, "local", "up", "--transparent", "-d", "-f", str(made.root / "mesh.yaml")),
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "linkerd2-py: network: iptables-restore is not installed: install the package iptables\n"
    )
    assert machine.is_as_before()


def test_rules_that_cannot_be_written_keep_the_program_from_starting(
    machine: Machine, tmp_path: Path
) -> None:
    made = _make(tmp_path)
    broken = tmp_path / "bin" / "iptables-nft-restore"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\ncat >/dev/null; echo 'iptables: no chain for you' >&2; exit 4\n")
    broken.chmod(0o755)
    path = f"PATH={broken.parent}:{os.environ['PATH']}"
    try:
        words = ("local", "up", "--transparent", "-d", "-f", str(made.root / "mesh.yaml"))
        done = sh(
            "env", path, f"LINKERD2_PY_STATE_DIR={tmp_path / 'state'}", *ENTRY, *words, check=False
        )
        assert done.returncode == 1
        reason = "pod reader-0: proxy-init exited with status 1: linkerd2-py proxy-init: iptables-nft-restore: iptables: no chain for you"  # fmt: skip
        assert reason in done.stderr
        assert _pods(made)["reader-0"]["status"] == "Failed"
        logs = {path.stem for path in (tmp_path / "state" / "logs").iterdir()}
        # Neither proxy nor program of a pod without rules was ever started; who needs none runs.
        assert not {"reader-0", "reader-0-proxy", "reader-0-network-validator"} & logs
        assert _pods(made)["outsider-0"]["status"] == "Running"
        assert "iptables: no chain" in made.ok("local", "logs", "reader-0", "-c", "init")
        made.ok("local", "down")
    finally:
        made.stop()
    assert machine.is_as_before()


def test_a_mesh_of_the_machine_is_seen_without_root(machine: Machine, tmp_path: Path) -> None:
    """Without a state directory of its own it is where every user finds it; only root may stop it or read its logs."""
    if state_dir.SYSTEM_STATE_DIR.joinpath("state.json").exists():
        pytest.skip("a mesh of this machine is running")
    made = _make(tmp_path)
    env = {name: value for name, value in os.environ.items() if name != "LINKERD2_PY_STATE_DIR"}
    nobody = ("env", "HOME=/nonexistent", *as_user(65534, ENTRY))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False)

    try:
        mesh = str(made.root / "mesh.yaml")
        done = run(*ENTRY, "local", "up", "--transparent", "-d", "-f", mesh)
        assert done.returncode == 0, done.stderr
        assert stat.S_IMODE(state_dir.SYSTEM_STATE_DIR.stat().st_mode) == 0o755
        assert "files-0" in run(*nobody, "get", "pods").stdout
        assert "l5d" in run(*nobody, "local", "status").stdout
        down = run(*nobody, "local", "down")
        assert (down.returncode, down.stderr) == (
            1,
            "linkerd2-py: the local mesh belongs to another user: run this with sudo\n",
        )
        logs = run(*nobody, "local", "logs", "files-0")
        assert logs.stderr == (
            "linkerd2-py: the logs of this mesh belong to another user: run this with sudo\n"
        )
        entered = run(*nobody, "local", "exec", "files-0", "--", "true")
        assert entered.returncode == 1
        assert "needs root: run this with sudo" in entered.stderr
    finally:
        assert run(*ENTRY, "local", "down").stdout == "the local mesh is stopped\n"
    assert machine.is_as_before()


SWEEP = """
import asyncio
from linkerd2_py.controlplane.local.transparent.sweep import sweep_dead
print(asyncio.run(sweep_dead()))
"""


def test_leftovers_are_told_from_living_meshes(cli: MeshCli) -> None:
    """The sweep that an `up` begins with must not touch a mesh that runs."""
    label = cli.state()["network"]
    done = subprocess.run([ENTRY[0], "-c", SWEEP], capture_output=True, text=True, check=True)
    assert label not in done.stdout
    # Nor must a guard that comes late, when the label has been taken again.
    sh(ENTRY[0], "-m", "linkerd2_py.controlplane.local.transparent.sweep", label)
    assert all(psutil.pid_exists(one.pid) for one in cli.family())
    assert _get(cli, "reader-0", "http://files/")[1] == "files"
