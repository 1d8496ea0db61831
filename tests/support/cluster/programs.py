"""Builds the programs of a Kubernetes cluster, and those that go with one, from what go.mod files pin.

Each set of versions is built once, outside of the checkout: Kubernetes takes about ten minutes of two
processors, the rest another two. They are modules of their own: another Helm is not another Kubernetes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MODULES: Final = Path(__file__).parents[2] / "cluster" / "programs"
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
# Where programs keep the version that they tell.
_VERSION_PACKAGES: Final = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_HELM_VERSION: Final = "helm.sh/helm/v3/internal/version.version"


class BuildError(Exception):
    """The programs cannot be built; the message says why."""


@dataclass(frozen=True, slots=True)
class Module:
    """What one go.mod pins: `packages` are its programs, and `names` what is there when they are built.

    Where there are more names than packages, the one program is chosen by the name that it is called by.
    """

    name: str
    packages: Sequence[str]
    names: Sequence[str]

    @property
    def source(self) -> Path:
        return MODULES / self.name

    def folder(self) -> Path:
        """Where the programs of these versions are, built or not."""
        pinned = sorted(path for path in self.source.rglob("*") if path.is_file())
        said = hashlib.sha256(b"".join(path.read_bytes() for path in pinned)).hexdigest()
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "linkerd2-py" / "cluster" / said[:16]

    def built(self) -> bool:
        """Whether nothing is left to do."""
        return all((self.folder() / name).exists() for name in self.names)

    def build(self) -> Path:
        """The folder that has the programs, after building what is missing. Raises `BuildError`."""
        into = self.folder()
        if self.built():
            return into
        into.parent.mkdir(parents=True, exist_ok=True)
        with _alone(into.with_suffix(".lock")), tempfile.TemporaryDirectory(dir=into.parent) as new:
            if not self.built():
                self._compile(Path(new))
                # Whole or not at all: a folder of that name is complete.
                into.mkdir(exist_ok=True)
                for made in Path(new).iterdir():
                    made.rename(into / made.name)
        return into

    def version_of(self, required: str) -> str:
        """Of a module that is required, without the v."""
        pattern = rf"^\s*(?:require )?{re.escape(required)} v([0-9.]+)"
        found = re.search(pattern, (self.source / "go.mod").read_text(), re.MULTILINE)
        if found is None:
            raise BuildError(f"{self.source}/go.mod: requires no {required}")
        return found[1]

    def _compile(self, into: Path) -> None:
        # The Go that was chosen must do; it is not to fetch another.
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-mod=readonly",
        }
        flags = ("-trimpath", "-ldflags", f"-s -w {_told()}")
        command = [_go(), "build", *flags, "-o", f"{into}/", *self.packages]
        done = subprocess.run(command, cwd=self.source, env=environment, check=False)
        if done.returncode != 0:
            raise BuildError(f"{command[0]} build in {self.source} ended with {done.returncode}")
        if len(self.packages) < len(self.names):
            made = next(into.iterdir()).rename(into / "kube")
            for name in self.names:
                (into / name).symlink_to(made.name)


KUBERNETES: Final = Module("kubernetes", ["."], NAMES)
# What Debian has not, or not as new: Helm, a cluster's names, and what every pod stands on.
TOOLS: Final = Module(
    "tools", ["./coredns", "./pause", "helm.sh/helm/v3/cmd/helm"], ["coredns", "pause", "helm"]
)
# The version that the chart installs. Debian's has no discovery of a cluster's pods.
PROMETHEUS: Final = Module(
    "prometheus", ["github.com/prometheus/prometheus/cmd/prometheus"], ["prometheus"]
)
# Grafana's own schema, as a program that judges dashboards: no Grafana is needed for that.
GRAFANA_SCHEMA: Final = Module("grafana", ["."], ["grafana-schema"])


def version() -> str:
    """Of Kubernetes, without the v."""
    return KUBERNETES.version_of("k8s.io/kubernetes")


def folder() -> Path:
    """Where the programs of Kubernetes are, built or not."""
    return KUBERNETES.folder()


def built() -> bool:
    """Whether those of Kubernetes are there."""
    return KUBERNETES.built()


def build() -> Path:
    """The folder that has those of Kubernetes, after building what is missing. Raises `BuildError`."""
    return KUBERNETES.build()


def helm() -> Path:
    """Helm, after building it where it is missing. Raises `BuildError`."""
    return TOOLS.build() / "helm"


def _told() -> str:
    """The versions that programs are told while they are linked; who has no such place ignores it."""
    major, minor, *_ = version().split(".")
    values = {"gitVersion": f"v{version()}", "gitMajor": major, "gitMinor": minor}
    told = [
        f"-X {package}.{name}={value}"
        for package in _VERSION_PACKAGES
        for name, value in values.items()
    ]
    return " ".join([*told, f"-X {_HELM_VERSION}=v{TOOLS.version_of('helm.sh/helm/v3')}"])


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Who comes second waits, and finds what the first has made."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
