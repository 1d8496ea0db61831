"""What `./mesh cluster` runs: a Kubernetes API server on this machine, for people."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.support.cluster import keeper, programs
from tests.support.cluster.control_plane import StartError


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="./mesh cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build its programs, and nothing else")
    commands.add_parser("up", help="start it")
    commands.add_parser("status", help="say whether it runs, and where")
    commands.add_parser("shell", help="a shell in which kubectl talks to it")
    commands.add_parser("down", help="end it, and forget what it held")
    given = parser.parse_args()
    run = {"build": _build, "up": _up, "status": _status, "shell": _shell, "down": _down}
    return run[given.command](keeper.default_root())


def _build(_root: Path) -> int:
    try:
        for module in (programs.KUBERNETES, programs.TOOLS):
            print(module.build())
    except programs.BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _up(root: Path) -> int:
    if keeper.holder(root) is None:
        status = _build(root)
        if status != 0:
            return status
        try:
            keeper.start(root)
        except StartError as error:
            print(error, file=sys.stderr)
            return 1
    return _status(root)


def _status(root: Path) -> int:
    number = keeper.holder(root)
    if number is None:
        print("no cluster runs; ./mesh cluster up starts one")
        return 1
    print(
        f"Kubernetes {programs.version()} runs (process {number}), without a node: pods stay pending"
    )
    print(f"export KUBECONFIG={keeper.kubeconfig(root)} PATH={programs.folder()}:$PATH")
    return 0


def _shell(root: Path) -> int:
    if keeper.holder(root) is None:
        return _status(root)
    path = f"{programs.folder()}:{os.environ.get('PATH', '')}"
    environment = {**os.environ, "KUBECONFIG": str(keeper.kubeconfig(root)), "PATH": path}
    return subprocess.run(
        [os.environ.get("SHELL", "/bin/sh")], env=environment, check=False
    ).returncode


def _down(root: Path) -> int:
    print("ended" if keeper.stop(root) else "no cluster runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
