"""The front door on a machine that lacks things, and its answers to wrong words."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.release_only

MESH = Path(__file__).parents[3] / "mesh"
TOOLS = ("cat", "date", "dirname", "grep", "head", "mkdir", "sh", "sort", "tail", "tr")


def mesh(
    *words: str, script: Path = MESH, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PATH": path} if path else {})
    return subprocess.run(
        ["/bin/sh", script, *words], capture_output=True, text=True, env=environment, check=False
    )


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH of an ordinary user without compiler, interpreter or sudo."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    identity = folder / "id"
    identity.write_text("#!/bin/sh\necho 1000\n")
    identity.chmod(0o755)
    return str(folder)


def test_help_names_every_command() -> None:
    done = mesh("help")
    assert done.returncode == 0
    words = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert {"up", "down", "build", "check", "bench", "test", "help"} <= set(words)


@pytest.mark.parametrize("words", [("fly",), ("build", "--fast")])
def test_a_wrong_word_is_named_and_fails(words: tuple[str, ...]) -> None:
    done = mesh(*words)
    assert done.returncode == 1
    assert f"unknown {'command: fly' if words == ('fly',) else 'option --fast'}" in done.stderr


def test_without_root_the_missing_packages_are_named_exactly(
    tmp_path: Path, bare_path: str
) -> None:
    script = shutil.copy(MESH, tmp_path / "mesh")
    done = mesh("build", script=Path(script), path=bare_path)
    assert done.returncode == 1
    missing, install = done.stderr.splitlines()
    assert missing.startswith("× missing Debian packages: gcc libc6-dev libnghttp2-dev libssl-dev")
    assert "nginx" not in missing  # needed by tests and benchmarks only
    assert install.strip().startswith("as root: apt-get install --no-install-recommends gcc")


def test_the_benchmarks_peers_are_named_too(tmp_path: Path, bare_path: str) -> None:
    script = shutil.copy(MESH, tmp_path / "mesh")
    done = mesh("bench", "--quick", script=Path(script), path=bare_path)
    assert done.returncode == 1
    missing = done.stderr.splitlines()[0].split()
    # Of the others, servers, an administrator's folders are searched too: they may be there.
    assert {"gcc", "libnghttp2-dev", "nghttp2-client", "valgrind", "wrk"} <= set(missing)


@pytest.mark.parametrize("fails", [False, True])
def test_a_step_is_ticked_or_its_last_words_shown(tmp_path: Path, fails: bool) -> None:
    script = tmp_path / "mesh"
    steps = f'mkdir -p "$LOGS"\nstep "a word" sh -c "echo said; exit {int(fails)}"\n'
    script.write_text(MESH.read_text().partition("\ncase ${1:-help} in")[0] + steps)
    done = mesh(script=script)
    log = tmp_path / "build/log/a-word.log"
    assert done.returncode == int(fails)
    if fails:
        assert done.stderr == f"× a word; the end of {log}:\nsaid\n"
    else:
        assert re.fullmatch(r"√ a word \([0-9]+ s\)\n", done.stdout)
    assert log.read_text() == "said\n"
