"""The engine's layers: the check passes on our tree and refuses each kind of offence."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.release_only

ROOT = Path(__file__).parents[3]
TOOL = ROOT / "tools/check_cimports.py"


def check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, root], capture_output=True, text=True, check=False)


def offence(root: Path, module: str, line: str) -> str:
    """What the tool says about `module` with that one line."""
    path = root / module
    path.parent.mkdir(parents=True)
    path.write_text(f'"""A module."""\n{line}\n')
    return check(root).stdout


def test_our_engine_keeps_its_layers() -> None:
    done = check(ROOT / "_ext")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("http1/parser.pyx", "from linkerd2_py._ext.core.buffer cimport Buffer"),
        ("http1/parser.pyx", "from linkerd2_py._ext.exchange.head cimport Head"),
        ("http1/parser.pyx", "from linkerd2_py._ext.http1.limits cimport Limits"),
        ("exchange/stream.pyx", "from linkerd2_py._ext.exchange.head cimport Head"),
        ("route/local.pyx", "from linkerd2_py._ext.http2.server cimport Server"),
        ("route/server.pyx", "from linkerd2_py._ext.exchange.exchange cimport Exchange"),
        ("policy/match.pyx", "from linkerd2_py._ext.exchange.plan cimport Plan"),
        ("io/transport.pyx", "from linkerd2_py._ext.metrics.tcp cimport TcpMetrics"),
        ("io/transport.pyx", "from libc.string cimport memcpy"),
    ],
)
def test_own_unit_and_lower_layers_are_allowed(tmp_path: Path, module: str, line: str) -> None:
    assert offence(tmp_path / "_ext", module, line) == ""


@pytest.mark.parametrize(
    ("module", "line", "words"),
    [
        ("core/buffer.pyx", "from linkerd2_py._ext.io.loop cimport Loop", "core must not know io"),
        ("http1/parser.pyx", "cimport linkerd2_py._ext.http2.session", "http1 must not know http2"),
        ("http1/server.pxd", "from linkerd2_py._ext.pool cimport pool", "must not know pool"),
        (
            "http2/server.pyx",
            "from linkerd2_py._ext.route cimport local",
            "http2 must not know route",
        ),
        (
            "exchange/exchange.pyx",
            "from linkerd2_py._ext.http1.server cimport Server",
            "exchange must not know http1",
        ),
        (
            "policy/match.pyx",
            "from linkerd2_py._ext.http2.fields cimport Block",
            "policy must not know http2",
        ),
        (
            "http1/server.pyx",
            "from linkerd2_py._ext.policy.route_table cimport RouteTable",
            "http1 must not know policy",
        ),
        ("io/loop.pyx", "from linkerd2_py._ext cimport core, route", "io must not know route"),
        ("io/loop.pyx", "import asyncio", "must not know asyncio"),
        ("io/loop.pyx", "from linkerd2_py.base import names", "must not know linkerd2_py.base"),
        ("io/loop.pyx", "from google.protobuf import message", "must not know google"),
        ("io/loop.pyx", "from .transport cimport Transport", "relative import"),
        ("io/loop.pyx", "from linkerd2_py._ext.novel.thing cimport Thing", "belongs to no layer"),
        ("novel/thing.pyx", "import cython", "belongs to no layer"),
    ],
)
def test_everything_else_is_refused(tmp_path: Path, module: str, line: str, words: str) -> None:
    assert words in offence(tmp_path / "_ext", module, line)


def test_the_graph_has_a_cluster_per_folder_and_an_arrow_per_cimport(tmp_path: Path) -> None:
    sources = {
        "core/buffer.pxd": "from libc.stdlib cimport free",
        "core/testing.pyx": "from linkerd2_py._ext.core.buffer cimport Buffer",
        "io/loop.pxd": "from linkerd2_py._ext.core.buffer cimport Buffer",
        "io/loop.pyx": "from linkerd2_py._ext.core.buffer cimport Buffer, lease\n"
        "from linkerd2_py._ext.io.loop cimport Loop\n"
        "from linkerd2_py._ext.core.debug import counts",
    }
    for name, text in sources.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    command = [sys.executable, TOOL, "--dot", tmp_path]
    graph = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.strip() for line in graph.splitlines()]
    assert [line for line in lines if "->" in line] == ['"io/loop" -> "core/buffer";']
    assert '"io/loop" [label="loop"];' in lines[lines.index('subgraph "cluster_io" {') :]
    assert "testing" not in graph


def test_the_graph_of_our_engine_is_drawn_from_all_its_modules() -> None:
    command = [sys.executable, TOOL, "--dot", ROOT / "_ext"]
    graph = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for path in (ROOT / "_ext").rglob("*.pyx"):
        if path.stem != "testing":
            assert f'"{path.parent.name}/{path.stem}" [label="{path.stem}"];' in graph
