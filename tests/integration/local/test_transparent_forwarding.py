"""The one switch of the host that a transparent mesh turns, and back again, in whatever order meshes end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.local.mesh_cli import MeshCli
from tests.support.privileges import need_root

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
MESH = "workloads: {idle: {command: [sleep, infinity], meshed: false}}\n"


@pytest.fixture
def _not_forwarding() -> Iterator[None]:
    need_root()
    before = FORWARDING.read_text()
    FORWARDING.write_text("0")
    yield
    FORWARDING.write_text(before)


def _mesh(folder: Path) -> MeshCli:
    folder.mkdir()
    (folder / "mesh.yaml").write_text(MESH)
    made = MeshCli(folder)
    made.ok("local", "up", "--transparent", "-d", "-f", "mesh.yaml", timeout_s=60)
    return made


@pytest.mark.usefixtures("_not_forwarding")
@pytest.mark.parametrize("first", [0, 1], ids=["who-began-it-ends-first", "who-began-it-ends-last"])
def test_the_last_mesh_turns_forwarding_off(tmp_path: Path, first: int) -> None:
    meshes: list[MeshCli] = []
    try:
        meshes += [_mesh(tmp_path / "one"), _mesh(tmp_path / "two")]
        assert FORWARDING.read_text() == "1\n"
        meshes[first].ok("local", "down")
        assert FORWARDING.read_text() == "1\n"
        meshes[1 - first].ok("local", "down")
        assert FORWARDING.read_text() == "0\n"
    finally:
        for mesh in meshes:
            mesh.stop()


@pytest.mark.usefixtures("_not_forwarding")
def test_a_host_that_forwards_goes_on(tmp_path: Path) -> None:
    FORWARDING.write_text("1")
    made = _mesh(tmp_path / "one")
    try:
        made.ok("local", "down")
        assert FORWARDING.read_text() == "1\n"
    finally:
        made.stop()
