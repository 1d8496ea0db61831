"""What a node has of us, and that it has nothing of us in the end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linkerd2_py.controlplane.cni.host import Host, Installation

ENTRY: dict[str, Any] = {"name": "linkerd-cni", "type": "linkerd-cni", "linkerd": {}}
CALICO = b'{"name":"k8s-pod-network", "cniVersion":"0.3.1",\n\n "plugins":[ {"type":"calico"} ]}'
OTHER = b'{"name":"other","cniVersion":"1.0.0","plugins":[{"type":"bridge"}]}\n'


class Node:
    """Folders of a node, and installations on it."""

    def __init__(self, folder: Path) -> None:
        self.programs, self.lists = folder / "bin", folder / "net.d"
        self.programs.mkdir()
        self.lists.mkdir()
        self.launcher = folder / "launcher"
        self.launcher.write_bytes(b"a program")
        self.entry = ENTRY

    def installation(self) -> Installation:
        host = Host(programs=self.programs, lists=self.lists, launcher=self.launcher)
        return Installation(host, entry=lambda: self.entry)

    def write(self, name: str, data: bytes) -> Path:
        path = self.lists / name
        path.write_bytes(data)
        return path

    def types(self, name: str) -> list[str]:
        found = json.loads((self.lists / name).read_bytes())
        return [one["type"] for one in found["plugins"]]

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.lists.iterdir()}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_the_first_list_gets_our_entry_and_gives_it_back_byte_for_byte(node: Node) -> None:
    path = node.write("10-calico.conflist", CALICO)
    path.chmod(0o640)
    node.write("87-podman.conflist", OTHER)
    before = node.files()
    made = node.installation()
    made.look()
    assert made.problem == ""
    assert node.types("10-calico.conflist") == ["calico", "linkerd-cni"]
    assert path.stat().st_mode & 0o777 == 0o640
    # Not the runtime's: somebody else's programs would be asking us.
    assert node.files()["87-podman.conflist"] == OTHER
    program = node.programs / "linkerd-cni"
    assert (program.read_bytes(), program.stat().st_mode & 0o777) == (b"a program", 0o755)
    made.put_back()
    assert node.files() == before
    assert not list(node.programs.iterdir())


def test_looking_again_changes_nothing(node: Node) -> None:
    node.write("10-calico.conflist", CALICO)
    made = node.installation()
    made.look()
    stamps = {path: path.stat().st_mtime_ns for path in node.lists.iterdir()}
    made.look()
    node.installation().look()
    assert {path: path.stat().st_mtime_ns for path in node.lists.iterdir()} == stamps


def test_a_list_that_is_written_anew_gets_it_again(node: Node) -> None:
    node.write("10-calico.conflist", CALICO)
    made = node.installation()
    made.look()
    newer = CALICO.replace(b'"calico"', b'"calico","mtu":1400')
    node.write("10-calico.conflist", newer)
    made.look()
    assert node.types("10-calico.conflist") == ["calico", "linkerd-cni"]
    made.put_back()
    assert node.files() == {"10-calico.conflist": newer}


def test_what_others_add_meanwhile_stays_when_we_go(node: Node) -> None:
    path = node.write("10-calico.conflist", CALICO)
    made = node.installation()
    made.look()
    found = json.loads(path.read_bytes())
    found["plugins"].append({"type": "istio-cni"})
    path.write_text(json.dumps(found))
    made.look()
    assert node.types("10-calico.conflist") == ["calico", "linkerd-cni", "istio-cni"]
    made.put_back()
    assert node.types("10-calico.conflist") == ["calico", "istio-cni"]
    assert set(node.files()) == {"10-calico.conflist"}


def test_a_single_plugin_is_a_list_until_we_go(node: Node) -> None:
    single = b'{"cniVersion":"0.3.1","name":"net","type":"bridge"}'
    node.write("10-net.conf", single)
    made = node.installation()
    made.look()
    assert made.problem == ""
    assert node.types("10-net.conflist") == ["bridge", "linkerd-cni"]
    assert not (node.lists / "10-net.conf").exists()
    # An agent that is started anew knows where it came from.
    node.installation().put_back()
    assert node.files() == {"10-net.conf": single}


def test_a_single_plugin_beside_a_list_of_its_name(node: Node) -> None:
    single = b'{"cniVersion":"0.3.1","name":"net","type":"bridge"}'
    node.write("10-net.conf", single)
    node.write("10-net.conflist", OTHER)
    before = node.files()
    made = node.installation()
    made.look()
    assert node.types("10-net.conflist") == ["bridge", "linkerd-cni"]
    made.put_back()
    assert node.files() == before


def test_a_newer_configuration_takes_the_place_of_the_old(node: Node) -> None:
    path = node.write("10-calico.conflist", CALICO)
    made = node.installation()
    made.look()
    node.entry = {**ENTRY, "linkerd": {"ipv6": True}}
    made.look()
    assert json.loads(path.read_bytes())["plugins"][1:] == [node.entry]
    made.put_back()
    assert node.files() == {"10-calico.conflist": CALICO}


def test_a_list_that_is_still_being_written_is_waited_for(node: Node) -> None:
    node.write("10-calico.conflist", CALICO[:40])
    made = node.installation()
    made.look()
    assert made.problem.startswith("10-calico.conflist: it is not JSON")
    assert node.files()["10-calico.conflist"] == CALICO[:40]
    node.write("10-calico.conflist", CALICO)
    made.look()
    assert made.problem == ""


def test_a_broken_list_does_not_hide_the_next(node: Node) -> None:
    """Some runtimes go on to the next, others stop: both are served, and it is said."""
    node.write("00-broken.conflist", b"{")
    node.write("10-calico.conflist", CALICO)
    made = node.installation()
    made.look()
    assert made.problem.startswith("00-broken.conflist: it is not JSON")
    assert node.types("10-calico.conflist") == ["calico", "linkerd-cni"]
    made.put_back()
    assert node.files() == {"00-broken.conflist": b"{", "10-calico.conflist": CALICO}


def test_no_list_yet(node: Node) -> None:
    made = node.installation()
    made.look()
    assert made.problem == "no list of plugins is there yet"
    assert (node.programs / "linkerd-cni").exists()
    made.put_back()
    assert not list(node.programs.iterdir())


@pytest.fixture
def odd(node: Node) -> Iterator[Node]:
    secret = node.lists.parent / "secret"
    secret.write_bytes(CALICO)
    (node.lists / "00-link.conflist").symlink_to(secret)
    os.mkfifo(node.lists / "01-pipe.conflist")
    (node.lists / "02-folder.conflist").mkdir()
    node.write("03-notes.txt", b"{")
    node.write("04-large.conflist", b" " * (2 << 20))
    yield node
    assert secret.read_bytes() == CALICO


def test_what_is_no_file_is_neither_read_nor_written(odd: Node) -> None:
    made = odd.installation()
    made.look()
    for name in ("00-link", "01-pipe", "02-folder", "04-large"):
        assert f"{name}.conflist: " in made.problem
    assert "\n" not in made.problem
    made.put_back()
    assert (odd.lists / "00-link.conflist").is_symlink()


def test_two_agents_at_once_agree(node: Node) -> None:
    node.write("10-calico.conflist", CALICO)
    first, second = node.installation(), node.installation()
    for _ in range(3):
        first.look()
        second.look()
    assert node.types("10-calico.conflist") == ["calico", "linkerd-cni"]
    first.put_back()
    second.put_back()
    assert node.files() == {"10-calico.conflist": CALICO}


def test_a_launcher_that_somebody_removed_or_changed_comes_back(node: Node) -> None:
    node.write("10-calico.conflist", CALICO)
    made = node.installation()
    made.look()
    program = node.programs / "linkerd-cni"
    program.unlink()
    made.look()
    assert program.read_bytes() == b"a program"
    program.chmod(0o600)
    program.write_bytes(b"something else")
    made.look()
    assert (program.read_bytes(), program.stat().st_mode & 0o777) == (b"a program", 0o755)
    node.launcher.write_bytes(b"a newer program")
    made.look()
    assert program.read_bytes() == b"a newer program"


def test_folders_that_are_gone_are_a_problem_and_no_failure(node: Node) -> None:
    made = node.installation()
    node.lists.rmdir()
    made.look()
    assert made.problem.endswith("No such file or directory")
    made.put_back()


def test_lists_that_were_deleted_leave_nothing_behind(node: Node) -> None:
    node.write("10-calico.conflist", CALICO)
    made = node.installation()
    made.look()
    (node.lists / "10-calico.conflist").unlink()
    made.look()
    made.put_back()
    assert node.files() == {}
