"""What `./mesh cluster` runs: a Kubernetes cluster on this machine, for people."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.cluster import keeper, programs
from tests.support.cluster.control_plane import StartError
from tests.support.cluster.node import images, machine

Command = Callable[[Path, argparse.Namespace], int]


def main() -> int:
    """The exit status."""
    given = _parser().parse_args()
    run: dict[str, Command] = {
        "build": _build,
        "up": _up,
        "status": _status,
        "shell": _shell,
        "load": _load,
        "down": _down,
    }
    try:
        return run[given.command](keeper.default_root(), given)
    except (programs.BuildError, StartError, images.ImageError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./mesh cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build its programs, and nothing else")
    build.add_argument(
        "--pods", action="store_true", help="those that only tests in pods need, too: Prometheus"
    )
    up = commands.add_parser("up", help="start it: a control plane, and a node that runs pods")
    up.add_argument(
        "--no-node", action="store_true", help="only the control plane: pods stay pending"
    )
    commands.add_parser("status", help="say whether it runs, and where")
    commands.add_parser("shell", help="a shell in which kubectl and helm talk to it")
    load = commands.add_parser("load", help="bring an image into its node")
    load.add_argument("archive", type=Path, nargs="+", help="an OCI archive, a .tar file")
    commands.add_parser("down", help="end it, and forget what it held")
    return parser


def _build(_root: Path, given: argparse.Namespace) -> int:
    further = (programs.PROMETHEUS,) if given.pods else ()
    for module in (programs.KUBERNETES, programs.TOOLS, programs.GRAFANA_SCHEMA, *further):
        print(module.build())
    return 0


def _up(root: Path, given: argparse.Namespace) -> int:
    if keeper.holder(root) is None:
        # Whoever cannot have a node hears so before anything takes ten minutes.
        reason = "" if given.no_node else machine.why_not()
        if reason:
            raise StartError(f"{reason} (--no-node does without)")
        programs.build()
        keeper.start(root, node=not given.no_node)
    return _status(root, given)


def _status(root: Path, _given: argparse.Namespace) -> int:
    number = keeper.holder(root)
    if number is None:
        print("no cluster runs; ./mesh cluster up starts one")
        return 1
    node = "with a node" if keeper.has_node(root) else "without a node: pods stay pending"
    print(f"Kubernetes {programs.version()} runs (process {number}), {node}")
    print(f"export KUBECONFIG={keeper.kubeconfig(root)} PATH={_path('$PATH')}")
    return 0


def _shell(root: Path, given: argparse.Namespace) -> int:
    if keeper.holder(root) is None:
        return _status(root, given)
    path = _path(os.environ.get("PATH", ""))
    environment = {**os.environ, "KUBECONFIG": str(keeper.kubeconfig(root)), "PATH": path}
    return subprocess.run(
        [os.environ.get("SHELL", "/bin/sh")], env=environment, check=False
    ).returncode


def _path(others: str) -> str:
    return ":".join([str(programs.folder()), str(programs.TOOLS.folder()), others])


def _load(root: Path, given: argparse.Namespace) -> int:
    if keeper.holder(root) is None or not keeper.has_node(root):
        print("no node runs that could have images; ./mesh cluster up starts one", file=sys.stderr)
        return 1
    for archive in given.archive:
        print(*images.load(root, archive), sep="\n")
    return 0


def _down(root: Path, _given: argparse.Namespace) -> int:
    print("ended" if keeper.stop(root) else "no cluster runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
