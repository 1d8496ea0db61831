"""What a shell gets to complete, through the script that it was given and with a control plane
that answers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.support.public_api import SERVICE, Server
from tests.support.wait import patience

ENTRY = [sys.executable, "-m", "linkerd2_py.cli.main"]
# Completes what stands before the cursor, as readline does.
BASH = """
source <(linkerd2-py completion bash)
read -ra COMP_WORDS <<<"$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_linkerd2_py_completion linkerd2-py
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = "linkerd2-py completion fish | source; complete -C $argv[1]"
ZSH = """\
PS1='> '; unsetopt zle_bracketed_paste; autoload -U compinit && compinit -u -D
source <(linkerd2-py completion zsh); echo 'now it is 'there
"""
Complete = Callable[[str], list[str]]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.set_pods({}, {"name": "web-1"}, {"name": "api-0", "namespace": "other"})
    port = {"port": 9000, "target_port": 9000, "opaque": False}
    several = {**SERVICE, "name": "api", "ports": [*SERVICE["ports"], port]}
    made.answers["/services"] = (200, {"services": [SERVICE, several]})
    yield made
    made.close()


def path_with_the_command(folder: Path) -> str:
    command = folder / "linkerd2-py"
    command.write_text(f'#!/bin/sh\nexec {" ".join(ENTRY)} "$@"\n')
    command.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def env(server: Server, tmp_path: Path) -> dict[str, str]:
    """Of a shell that finds the command, and the command a mesh."""
    return os.environ | {
        "HOME": str(tmp_path),
        "PATH": path_with_the_command(tmp_path),
        "TERM": "dumb",
        "LINKERD2_PY_API_ADDR": server.address,
        "LINKERD2_PY_STATE_DIR": str(tmp_path / "none"),
    }


@pytest.fixture
def complete(env: dict[str, str]) -> Complete:
    """What bash offers for a line that ends at the cursor."""

    def offered(line: str) -> list[str]:
        argv = ["bash", "-c", BASH, "bash", line]
        done = subprocess.run(
            argv, capture_output=True, text=True, env=env, timeout=60 * patience(), check=False
        )
        assert done.stderr == ""
        return done.stdout.split()

    return offered


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("linkerd2-py st", ["stat", "stat-inbound", "stat-outbound"]),
        ("linkerd2-py identity", ["identity", "identity-ca"]),
        ("linkerd2-py local ", ["up", "down", "status", "logs", "exec"]),
        ("linkerd2-py get ", ["deploy", "po", "svc", "all"]),
        ("linkerd2-py get svc,p", ["svc,po"]),
        ("linkerd2-py get po ", ["web-0", "web-1", "api-0"]),
        ("linkerd2-py get po web-0 web", ["web-1"]),
        ("linkerd2-py get pods/web", ["pods/web-0", "pods/web-1"]),
        ("linkerd2-py get deploy/", ["deploy/web"]),
        ("linkerd2-py get nothing ", []),
        ("linkerd2-py stat deploy --to svc/w", ["svc/web-svc"]),
        ("linkerd2-py stat ns ", ["other", "shop"]),
        ("linkerd2-py stat au ", []),
        ("linkerd2-py -n sh", ["shop"]),
        ("linkerd2-py stat deploy --from-namespace o", ["other"]),
        ("linkerd2-py identity api", ["api-0"]),
        ("linkerd2-py local logs api", ["api-0"]),
        ("linkerd2-py local logs -c ", ["proxy", "app", "init"]),
        ("linkerd2-py diagnostics proxy-metrics po/api", ["po/api-0"]),
        ("linkerd2-py diagnostics endpoints ", ["web-svc", "api", "api:9000"]),
        ("linkerd2-py get po -o ", ["table", "wide", "name", "json"]),
        ("linkerd2-py check -o s", ["short"]),
        ("linkerd2-py completion z", ["zsh"]),
    ],
)
def test_bash(complete: Complete, line: str, expected: list[str]) -> None:
    assert sorted(complete(line)) == sorted(expected)


def test_without_a_mesh_there_are_no_names_and_no_words_about_it(
    complete: Complete, server: Server
) -> None:
    server.answers["/pods"] = (500, {"error": "broken"})
    assert complete("linkerd2-py get po ") == []
    assert complete("linkerd2-py --api-addr 127.0.0.1:1 get po ") == []


def test_zsh_is_offered_the_same_words(server: Server) -> None:
    """By the variables that its script sets; what is printed is for zsh to evaluate."""
    env = os.environ | {
        "LINKERD2_PY_API_ADDR": server.address,
        "_LINKERD2_PY_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "linkerd2-py get po web",
    }
    done = subprocess.run(
        ENTRY, capture_output=True, text=True, env=env, timeout=60 * patience(), check=False
    )
    assert done.stdout.strip() == """_arguments '*: :(("web-0"\n"web-1"))'"""
    script = subprocess.run(
        [*ENTRY, "completion", "zsh"], capture_output=True, text=True, check=True
    )
    assert "_LINKERD2_PY_COMPLETE=complete_zsh" in script.stdout
    assert "_TYPER_COMPLETE_ARGS=" in script.stdout


def needs(shell: str) -> str:
    """Its path."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("linkerd2-py get po web", ["web-0", "web-1"]),
        ("linkerd2-py check -o ", ["json", "short", "table"]),
        ("linkerd2-py -n sh", ["shop"]),
    ],
)
def test_fish_itself(env: dict[str, str], line: str, expected: list[str]) -> None:
    done = subprocess.run(
        [needs("fish"), "--no-config", "-c", FISH, line],
        capture_output=True,
        text=True,
        env=env,
        timeout=60 * patience(),
        check=False,
    )
    assert (sorted(done.stdout.split()), done.stderr) == (expected, "")


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("linkerd2-py check -o sh", "linkerd2-py check -o short"),
        ("linkerd2-py get po ap", "linkerd2-py get po api-0"),
    ],
)
def test_zsh_itself(env: dict[str, str], line: str, completed: str) -> None:
    """As somebody types, who presses the key."""
    zsh = pexpect.spawn(
        needs("zsh"), ["-f", "-i"], env=env, encoding="utf-8", timeout=60 * patience()
    )
    try:
        zsh.send(ZSH)
        zsh.expect_exact("now it is there")
        zsh.send(f"{line}\t")
        zsh.expect_exact(completed)
    finally:
        zsh.close(force=True)
