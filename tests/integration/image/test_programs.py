"""The images' programs, started as in a pod: a read-only root, an ordinary user, no new privileges."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from linkerd2_py import __version__
from tests.support.certificates import IDENTITY, Signer
from tests.support.http1_client import Http1Client
from tests.support.images import Container
from tests.support.netns import inside, namespace
from tests.support.origin import origin, talk
from tests.support.ports import free_address
from tests.support.processes import Child
from tests.support.scripted_api_server import SERVICES, scripted_api_server, service
from tests.support.sidecar import Sidecar, address_of, environment
from tests.support.wait import eventually_async

pytestmark = [pytest.mark.slow, pytest.mark.release_only, pytest.mark.timeout(600)]

PROXY_UID, CONTROLLER_UID, NOBODY = 2102, 2103, 65534
PROGRAMS = "/usr/lib/linkerd/"
PYTHON = "/usr/bin/python3.11"
NET_ADMIN_AND_NET_RAW = "12,13"
HEAVY = (
    *("grpc", "cryptography", "kubernetes", "starlette", "typer", "yaml", "pydantic"),
    *("_ssl", "_cffi_backend"),
)
READY = b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
LIGHT = {"asyncio", "uvloop", "google", "linkerd2_py"}


@contextmanager
def serving(container: Container, program: str, log: Path) -> Iterator[tuple[Sidecar, Child]]:
    """A proxy in its image, once it listens."""
    words = container.words(PROGRAMS + program, uid=PROXY_UID)
    with Child.start(words, log=log, env=environment()) as child:
        admin = address_of(child.wait_for_line(r"listening .*admin=([0-9.]+:[0-9]+)").group(1))
        with Http1Client.connect(admin) as client:
            answer = client.request(b"GET /listeners HTTP/1.1\r\nhost: localhost\r\n\r\n")
        yield Sidecar(json.loads(answer.body)), child


def status_of(child: Child) -> str:
    return Path(f"/proc/{child.pid}/status").read_text()


def hello(_head: bytes, _body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


async def test_the_proxy_is_ready_and_carries_a_request(proxy: Container, tmp_path: Path) -> None:
    async with origin(hello) as server:
        with serving(proxy, "linkerd2-proxy-identity", tmp_path / "log") as (sidecar, child):
            assert (await sidecar.ask_admin("GET", "/ready")).startswith(b"HTTP/1.1 200 ")
            host, port = server.address
            assert (await sidecar.get(f"http://{host}:{port}/")).endswith(b"hello")
            status = status_of(child)
    assert re.search(rf"^Uid:\t{PROXY_UID}\t{PROXY_UID}\t", status, re.MULTILINE)
    assert re.search(r"^CapPrm:\t0+$", status, re.MULTILINE)


def test_the_running_proxy_has_loaded_nothing_heavy(proxy: Container, tmp_path: Path) -> None:
    with serving(proxy, "linkerd2-proxy-identity", tmp_path / "log") as (sidecar, child):
        assert sidecar.ask("GET", "/ready").status == 200
        maps = Path(f"/proc/{child.pid}/maps").read_text()
        words = Path(f"/proc/{child.pid}/cmdline").read_bytes().split(b"\0")
    files = {line.split()[-1] for line in maps.splitlines() if ".so" in line}
    assert [one for one in HEAVY for file in files if re.search(rf"/{one}[./]", file)] == []
    assert any("_ext/engine" in file for file in files)
    assert words[0] == PYTHON.encode()


def test_the_modules_that_the_images_proxy_imports(proxy: Container) -> None:
    source = (
        "import sys, json; from linkerd2_py.proxy.stand_ins import stand_in; stand_in(); "
        "import linkerd2_py.proxy.run; "
        "print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    )
    done = proxy.run(PYTHON, "-I", "-c", source, uid=PROXY_UID)
    assert done.returncode == 0, done.stderr
    roots = set(json.loads(done.stdout))
    assert roots >= LIGHT
    assert not roots & {*HEAVY, "email", "http", "unittest", "sitecustomize"}


def test_the_key_is_made_in_a_folder_of_the_pod(proxy: Container, tmp_path: Path) -> None:
    folder = tmp_path / "end-entity"
    folder.mkdir()
    (folder / "token").write_text("token")
    os.chown(folder, PROXY_UID, PROXY_UID)
    variables = environment(
        IDENTITY_DISABLED="",
        IDENTITY_SVC_ADDR="127.0.0.1:1",
        IDENTITY_TRUST_ANCHORS=Signer().pem.decode(),
        IDENTITY_DIR=str(folder),
        IDENTITY_TOKEN_FILE=str(folder / "token"),
        IDENTITY_LOCAL_NAME=IDENTITY,
    )
    words = proxy.words(f"{PROGRAMS}linkerd2-proxy-identity", uid=PROXY_UID, folders=[folder])
    with Child.start(words, log=tmp_path / "log", env=variables) as child:
        child.wait_for_line(r"listening .*admin=")
        assert (folder / "key.p8").stat().st_uid == PROXY_UID
        assert (folder / "csr.der").exists()


@pytest.mark.parametrize("mode", ["nft", "legacy"])
def test_the_init_container_writes_rules_as_an_ordinary_user(proxy: Container, mode: str) -> None:
    program = f"{PROGRAMS}linkerd2-proxy-init"
    flags = ("-p", "4143", "-o", "4140", "--proxy-uid", "2102", "--iptables-mode", mode)
    flags += ("--inbound-ports-to-ignore", "4190,4191", "--outbound-ports-to-ignore", "25,587")
    with namespace() as netns:
        words = proxy.words(program, *flags, uid=NOBODY, capabilities=NET_ADMIN_AND_NET_RAW)
        inside(netns, *words)
        for family in ("iptables", "ip6tables"):
            rules = inside(netns, f"{family}-{mode}-save", "-t", "nat").stdout
            assert "-j REDIRECT --to-ports 4143" in rules
            assert "--dports 25,587" in rules
            assert "--uid-owner 2102" in rules
            assert rules.count("\n-A ") == 8


def test_without_its_capabilities_the_init_container_fails_in_one_line(proxy: Container) -> None:
    with namespace() as netns:
        words = proxy.words(
            f"{PROGRAMS}linkerd2-proxy-init",
            "-p",
            "4143",
            "-o",
            "4140",
            "--proxy-uid",
            "2102",
            uid=NOBODY,
        )
        refused = inside(netns, *words, check=False)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr


def test_the_validator_says_what_is_wrong(proxy: Container) -> None:
    with namespace() as netns:
        words = proxy.words(f"{PROGRAMS}linkerd2-network-validator", "--timeout", "2s", uid=NOBODY)
        done = inside(netns, *words, check=False)
    assert done.returncode == 95
    assert "give this network namespace a default route" in done.stderr


def test_whoever_awaits_the_proxy_goes_on_once_it_is_ready(
    proxy: Container, tmp_path: Path
) -> None:
    program = f"{PROGRAMS}linkerd-await"
    with serving(proxy, "linkerd2-proxy", tmp_path / "log") as (sidecar, child):
        port = f"--port={sidecar.admin[1]}"
        done = proxy.run(program, "--timeout=2m", port, uid=PROXY_UID)
        assert (done.returncode, done.stderr) == (0, "")
        child.process.send_signal(signal.SIGTERM)
        assert child.wait() == 0
        late = proxy.run(program, "--timeout=50ms", port, uid=PROXY_UID)
    assert late.returncode == 1
    assert late.stderr.startswith("linkerd-await: the proxy was not ready in time: ")


@pytest.mark.parametrize(
    "program",
    [
        *("linkerd2-proxy", "linkerd2-proxy-identity", "linkerd2-network-validator"),
        *("linkerd2-proxy-init", "linkerd-await"),
    ],
)
def test_each_program_tells_its_usage(proxy: Container, program: str) -> None:
    done = proxy.run(PROGRAMS + program, "--help", uid=PROXY_UID)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")


def test_a_hook_can_sleep(proxy: Container) -> None:
    assert proxy.run("/bin/sleep", "0", uid=PROXY_UID).returncode == 0


def test_the_command_line_is_there(controller: Container) -> None:
    done = controller.run("/usr/bin/linkerd2-py", "version", "--client", uid=CONTROLLER_UID)
    assert (done.stdout, done.stderr) == (f"Client version: {__version__}\n", "")


@pytest.mark.parametrize("process", ["destination", "identity", "proxy-api", "public-api"])
def test_each_controller_tells_its_usage(controller: Container, process: str) -> None:
    words = ("/usr/bin/linkerd2-py", "controller", process, "--help")
    done = controller.run(*words, uid=CONTROLLER_UID)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"controller {process}" in done.stdout


WITHOUT = ("linkerd2_py.cli.top.page",)
"""What needs an extra that no image has: nobody looks at a live table in a pod."""


def test_every_module_of_ours_can_be_imported(controller: Container) -> None:
    source = (
        "import importlib, pkgutil, sys, linkerd2_py\n"
        "for one in pkgutil.walk_packages(linkerd2_py.__path__, 'linkerd2_py.'):\n"
        "    if one.name.endswith('__main__') or one.name in sys.argv: continue\n"
        "    importlib.import_module(one.name)\n"
    )
    done = controller.run(PYTHON, "-I", "-c", source, *WITHOUT, uid=CONTROLLER_UID)
    assert done.returncode == 0, done.stderr


async def test_a_controller_asks_an_api_server_without_the_models_of_its_library(
    controller: Container, tmp_path: Path
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    host, port = free_address()
    async with scripted_api_server() as (server, api):
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(_config(api.address)))
        server.put(SERVICES, service("web"))
        program = ("/usr/bin/linkerd2-py", "controller", "destination")
        flags = ("--kubeconfig", str(kubeconfig), "--addr", "127.0.0.1:0")
        flags += ("--metrics-addr", f"{host}:{port}", "--server-addr", "127.0.0.1:0")
        words = controller.words(*program, *flags, uid=CONTROLLER_UID, folders=[folder])
        with Child.start(words, log=tmp_path / "log") as child:
            await eventually_async(lambda: _is_ready(host, port), what=f"{child} ready")


async def _is_ready(host: str, port: int) -> bool:
    try:
        answer = await talk((host, port), READY)
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200 ")


def _config(address: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {}}],
    }
