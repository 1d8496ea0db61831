"""A transparent mesh as its programs see it: none of them has any setting of a proxy."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from linkerd2_py.controlplane.local.place.netns import socket_in
from tests.integration.local.mesh_cli import MeshCli
from tests.integration.local.transparent_mesh import (
    count,
    get,
    inside,
    netns_of,
    pods,
    running,
)
from tests.support.netns import namespace, sh
from tests.support.processes import words_of
from tests.support.wait import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    """One running mesh for all tests that only look."""
    with running(tmp_path_factory.mktemp("transparent")) as made:
        yield made


def test_programs_have_no_setting_of_a_proxy(cli: MeshCli) -> None:
    environment = _environment_of(cli, "nginx")
    assert not [name for name in environment if "proxy" in name.lower()]
    assert "POD_NAME" in environment


def _environment_of(cli: MeshCli, program: str) -> dict[str, str]:
    found = next(one for one in cli.family() if one.name() == program)
    return found.environ()


def test_names_lead_through_both_proxies(cli: MeshCli) -> None:
    before = count(cli, "reader-0", "request_total", direction="outbound")
    for name in ("files", "files.shop", "files.shop.svc", "files.shop.svc.cluster.local"):
        client, host = get(cli, "reader-0", f"http://{name}/")
        assert host == name
        # The server's proxy is what nginx sees: at its own address.
        assert client in {pods(cli)[pod]["ip"] for pod in ("files-0", "files-1")}
    assert count(cli, "reader-0", "request_total", direction="outbound") == before + 4
    assert count(cli, "reader-0", "response_total", dst_service="files", dst_namespace="shop") >= 4


def test_services_are_reached_by_either_family(cli: MeshCli) -> None:
    addresses = inside(cli, "reader-0", "getent", "ahosts", "files").split()
    assert {":" in word for word in addresses if "." in word or ":" in word} == {True, False}
    for flag in ("-4", "-6"):
        _, host = get(cli, "reader-0", flag, "http://files/")
        assert host == "files"


def test_a_headless_service_is_its_pods(cli: MeshCli) -> None:
    found = set(
        re.findall(r"^\S+", inside(cli, "reader-0", "getent", "ahostsv4", "peers"), re.MULTILINE)
    )
    assert found == {pods(cli)[pod]["ip"] for pod in ("files-0", "files-1")}
    client, host = get(cli, "reader-0", "-4", "http://files-1.peers.shop.svc.cluster.local:8080/")
    assert client == pods(cli)["files-1"]["ip"]
    assert host.startswith("files-1.peers")


def test_a_host_header_never_moves_a_request(cli: MeshCli) -> None:
    address = pods(cli)["files-0"]["ip"]
    for other in ("greet:2525", pods(cli)["files-1"]["ip"] + ":8080", "reader-0"):
        client, host = get(cli, "reader-0", "-H", f"Host: {other}", f"http://{address}:8080/")
        assert (client, host) == (address, other)


def test_servers_that_speak_first_are_heard_at_once(cli: MeshCli) -> None:
    heard = inside(
        cli, "reader-0", sys.executable, "-c",
        "import socket; s = socket.create_connection(('greet', 2525), 5); print(s.recv(99))",
    )  # fmt: skip
    assert heard == "b'welcome\\n'\n"


def test_a_pod_calls_its_own_service_and_itself(cli: MeshCli) -> None:
    for _ in range(4):
        assert get(cli, "files-0", "http://files/")[1] == "files"
    own = pods(cli)["files-0"]["ip"]
    before = count(cli, "files-0", "tcp_open_total")
    assert get(cli, "files-0", f"http://{own}:8080/")[0] == own
    assert get(cli, "files-0", "http://127.0.0.1:8080/")[0] == "127.0.0.1"
    # What a program says to itself is nobody else's business.
    assert count(cli, "files-0", "tcp_open_total", direction="outbound", peer="src") <= before


def test_unmeshed_pods_reach_services_too(cli: MeshCli) -> None:
    for flag in ("-4", "-6"):
        assert get(cli, "outsider-0", flag, "http://files/")[1] == "files"
    refused = cli.run(
        "local", "exec", "outsider-0", "--", "curl", "-sS", "-m", "5", "http://files:81/"
    )
    assert refused.status == 7, refused


def test_what_is_not_tcp_is_left_alone(cli: MeshCli) -> None:
    peer = pods(cli)["files-0"]
    assert "1 received" in inside(cli, "reader-0", "ping", "-c1", "-W2", peer["ip"])
    answer = inside(cli, "reader-0", sys.executable, "-c", UDP_QUESTION)
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
    host = inside(cli, "reader-0", "sh", "-c", "ip route get 198.51.100.1 | head -1")
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
            before = count(cli, "reader-0", "request_total", target_ip=outside)
            assert "Directory listing" in inside(cli, "reader-0", "curl", "-sS", "-m", "10", url)
            assert "Directory listing" in inside(cli, "outsider-0", "curl", "-sS", "-m", "10", url)
            assert count(cli, "reader-0", "request_total", target_ip=outside) == before + 1
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
    """One hop behind the host, which drops what nobody lets through, as with Docker; gives the URL of its
    server.
    """
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
            seen = inside(cli, pod, "curl", "-sS", "-m", "10", url)
            assert seen == "198.51.100.1"


def test_proxies_run_as_a_user_of_their_own(cli: MeshCli) -> None:
    proxies = [one for one in cli.family() if "linkerd2_py.proxy" in words_of(one)]
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
        if "linkerd2_py.proxy" in words_of(one)
        and '"reader-0"' in one.environ()["LINKERD2_PROXY_DESTINATION_CONTEXT"]
    )
    server = pods(cli)["files-0"]["ip"]
    netns = netns_of(cli, "reader-0")
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
    assert pods(cli)["reader-0"]["restarts"] >= 1


def test_wrong_use_is_one_line(cli: MeshCli) -> None:
    done = cli.run("local", "exec", "nobody-7", "--", "true")
    assert (done.status, done.out) == (1, "")
    assert "there is no pod 'nobody-7' in this mesh; there are: files-0" in done.err
    unknown = cli.run("local", "exec", "reader-0", "--", "no-such-command")
    assert unknown.status == 127
    assert unknown.err == "cannot start 'no-such-command': No such file or directory\n"
