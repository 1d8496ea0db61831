"""Builds the programs of a Kubernetes cluster from what tests/cluster/programs/go.mod pins.

Each set of versions is built once, outside of the checkout: a first build takes about ten minutes of two
processors.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

MODULE: Final = Path(__file__).parents[2] / "cluster" / "programs"
NAMES: Final = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
# What go.mod asks for, and Debian's Go is too old for; a Go that is new enough is used as it is.
_LEAST_GO: Final = (1, 25)
_TOOLCHAIN: Final = "golang.org/toolchain@v0.0.1-go1.25.4.linux-amd64"
# Where Kubernetes' programs keep the version that they tell.
_VERSION_PACKAGES: Final = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


class BuildError(Exception):
    """The programs cannot be built; the message says why."""


def version() -> str:
    """Of Kubernetes, without the v."""
    found = re.search(r"k8s\.io/kubernetes v([0-9.]+)", (MODULE / "go.mod").read_text())
    if found is None:
        raise BuildError(f"{MODULE}/go.mod: requires no k8s.io/kubernetes")
    return found[1]


def folder() -> Path:
    """Where the programs of these versions are, built or not."""
    pinned = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "linkerd2-py" / "cluster" / hashlib.sha256(pinned).hexdigest()[:16]


def built() -> bool:
    """Whether nothing is left to do."""
    return all((folder() / name).exists() for name in NAMES)


def build() -> Path:
    """The folder that has the programs, after building what is missing. Raises `BuildError`."""
    into = folder()
    if not built():
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into.parent) as place:
            _compile(Path(place))
            # Whole or not at all: a folder of that name is complete.
            into.mkdir(exist_ok=True)
            for made in Path(place).iterdir():
                made.rename(into / made.name)
    return into


def _compile(into: Path) -> None:
    major, minor, *_ = version().split(".")
    values = {"gitVersion": f"v{version()}", "gitMajor": major, "gitMinor": minor}
    told = " ".join(
        f"-X {package}.{name}={value}"
        for package in _VERSION_PACKAGES
        for name, value in values.items()
    )
    # The Go that was chosen must do; it is not to fetch another.
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly",
    }
    command = [_go(), "build", "-trimpath", "-ldflags", f"-s -w {told}", "-o", f"{into}/kube", "."]
    done = subprocess.run(command, cwd=MODULE, env=environment, check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command[:2])} in {MODULE} ended with {done.returncode}")
    for name in NAMES:
        (into / name).symlink_to("kube")


def _go() -> str:
    """The Go that is installed where it is new enough, otherwise one that it downloads as a module."""
    installed = shutil.which("go")
    if installed is None:
        raise BuildError("go is not installed: apt-get install golang-go")
    said = subprocess.run(
        [installed, "env", "GOVERSION"], capture_output=True, text=True, check=True
    )
    numbers = re.match(r"go(\d+)\.(\d+)", said.stdout)
    if numbers and (int(numbers[1]), int(numbers[2])) >= _LEAST_GO:
        return installed
    with tempfile.TemporaryDirectory() as outside_of_any_module:
        fetched = subprocess.run(
            [installed, "mod", "download", "-json", _TOOLCHAIN],
            cwd=outside_of_any_module,
            capture_output=True,
            text=True,
            check=False,
        )
    if fetched.returncode != 0:
        raise BuildError(f"{_TOOLCHAIN} cannot be downloaded: {fetched.stdout}{fetched.stderr}")
    go = Path(json.loads(fetched.stdout)["Dir"]) / "bin" / "go"
    _make_executable(go.parent.parent)
    return str(go)


def _make_executable(toolchain: Path) -> None:
    """A module's files are unpacked without the permission to run them."""
    programs = [*toolchain.glob("bin/*"), *toolchain.glob("pkg/tool/*/*")]
    for program in programs:
        if not os.access(program, os.X_OK):
            program.parent.chmod(0o755)
            program.chmod(0o755)
