"""A container runtime as far as CNI goes: it reads the first list of plugins, and runs them one after another, as
containerd, CRI-O and `cnitool` do.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

REFERENCE = Path("/usr/lib/cni")
LAUNCHER = Path(__file__).parents[2] / "image" / "programs" / "linkerd-cni.static.c"
_FLAGS = ("-std=c11", "-O2", "-static", "-Wall", "-Wextra", "-Werror")


class PluginError(Exception):
    """A plugin refused: `answer` is what it printed."""

    def __init__(self, plugin: str, status: int, answer: dict[str, Any], said: str) -> None:
        super().__init__(f"{plugin}: {status} {answer} {said}")
        self.answer = answer

    @property
    def code(self) -> int:
        return int(self.answer["code"])


@dataclass
class Runtime:
    """Of a node whose network is the namespace `node`."""

    programs: Path
    lists: Path
    node: str
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    def network(self) -> dict[str, Any]:
        """What the first list says."""
        endings = (".conf", ".conflist", ".json")
        first = min(path for path in self.lists.iterdir() if path.suffix in endings)
        found: dict[str, Any] = json.loads(first.read_text())
        return found

    def add(self, container: str, netns: str, **args: str) -> dict[str, Any]:
        """The result of the last plugin. PluginError from the first one that refuses."""
        network = self.network()
        result: dict[str, Any] | None = None
        for plugin in network["plugins"]:
            more = {} if result is None else {"prevResult": result}
            answer = self.run(
                "ADD", plugin, network, container=container, netns=netns, more=more, args=args
            )
            assert answer is not None
            result = answer
        assert result is not None
        self.results[container] = result
        return result

    def check(self, container: str, netns: str, **args: str) -> None:
        network = self.network()
        for plugin in network["plugins"]:
            more = {"prevResult": self.results[container]}
            self.run(
                "CHECK", plugin, network, container=container, netns=netns, more=more, args=args
            )

    def delete(self, container: str, netns: str, **args: str) -> None:
        network = self.network()
        more = {"prevResult": self.results.get(container)}
        for plugin in reversed(network["plugins"]):
            self.run("DEL", plugin, network, container=container, netns=netns, more=more, args=args)

    def run(
        self,
        command: str,
        plugin: dict[str, Any],
        network: dict[str, Any],
        *,
        container: str = "",
        netns: str = "",
        more: dict[str, Any] | None = None,
        args: dict[str, str] | None = None,
    ) -> dict[str, Any] | None:
        """One plugin's answer; None where it prints nothing."""
        asked = {
            **plugin,
            **(more or {}),
            "name": network["name"],
            "cniVersion": network["cniVersion"],
        }
        env = {
            "PATH": os.environ["PATH"],
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": f"/run/netns/{netns}" if netns else "",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": f"{self.programs}:{REFERENCE}",
            "CNI_ARGS": arguments(args or {}),
        }
        own = self.programs / plugin["type"]
        program = own if own.exists() else REFERENCE / plugin["type"]
        done = subprocess.run(
            ["ip", "netns", "exec", self.node, program],
            input=json.dumps(asked),
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        answer: dict[str, Any] | None = json.loads(done.stdout) if done.stdout.strip() else None
        if done.returncode != 0:
            raise PluginError(plugin["type"], done.returncode, answer or {}, done.stderr)
        return answer


def arguments(given: dict[str, str]) -> str:
    """As the CRI's runtimes write them."""
    return ";".join(f"{key}={value}" for key, value in {"IgnoreUnknown": "1", **given}.items())


def need_plugins(names: Iterable[str]) -> None:
    """Skip the test where Debian's package is not installed."""
    missing = [name for name in names if not (REFERENCE / name).exists()]
    if missing:
        pytest.skip(f"containernetworking-plugins is not installed: no {', '.join(missing)}")


def build_launcher(folder: Path, *, socket: Path) -> Path:
    """The plugin as images have it, but for where it asks."""
    program = folder / "linkerd-cni"
    flags = [*_FLAGS, f'-DAGENT_SOCKET="{socket}"']
    words = ["cc", *flags, "-o", str(program), str(LAUNCHER)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program
