"""`python -m image lock`: which wheels the images take, in versions that fit one another, for each
architecture.

The versions are the newest that `pyproject.toml` allows and that there are wheels of. Whoever builds an image
takes exactly these files; they are proven by their hashes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from image.bytecode import PYTHON
from image.contents import FOLDER
from image.errors import ImageError

ARCHITECTURES: Final = ("x86_64", "aarch64")
_GLIBC: Final = ("2_36", "2_34", "2_28", "2_17", "2_12", "2_5")
_OF_THE_SIDECAR: Final = ("cryptography", "protobuf", "uvloop")
_HEAD: Final = "# Made by `python -m image lock`: change pyproject.toml and make it again.\n"


def lock(root: Path) -> None:
    """Write both lists. ImageError when there is no answer."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    everything = [*project["dependencies"], *extras["fast"], *extras["k8s"]]
    sidecar = [one for one in everything if one.startswith(_OF_THE_SIDECAR)]
    found = [_found(everything, architecture) for architecture in ARCHITECTURES]
    of_the_sidecar = _found(sidecar, ARCHITECTURES[0]).keys()
    if found[0].keys() != found[1].keys():
        strange = found[0].keys() ^ found[1].keys()
        raise ImageError(f"not for every architecture: {sorted(strange)}")
    for name, inside in (("libraries", True), ("controller", False)):
        lines = [
            f"{project}=={version} "
            + " ".join(sorted({f"--hash=sha256:{one[project, version]}" for one in found}))
            for project, version in sorted(found[0])
            if ((project, version) in of_the_sidecar) == inside
        ]
        (FOLDER / f"locked/{name}.txt").write_text(_HEAD + "\n".join(lines) + "\n")


def _found(requirements: Sequence[str], architecture: str) -> dict[tuple[str, str], str]:
    """(name, version) → hash of the wheel."""
    tag = "".join(map(str, PYTHON))
    platforms = [f"manylinux_{version}_{architecture}" for version in _GLIBC]
    platforms += [f"manylinux{old}_{architecture}" for old in ("2014", "2010", "1")]
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.json")
        words = ["install", "-q", "--dry-run", "--ignore-installed", "--report", str(report)]
        words += ["--only-binary", ":all:", "--target", scratch, "--implementation", "cp"]
        words += ["--python-version", ".".join(map(str, PYTHON))]
        words += [word for abi in (f"cp{tag}", "abi3", "none") for word in ("--abi", abi)]
        words += [word for platform in platforms for word in ("--platform", platform)]
        pip = [sys.executable, "-m", "pip", *words, *requirements]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1]
            raise ImageError(f"no wheels for {architecture}: {last}")
        told = json.loads(report.read_text())["install"]
    return {_name(one): one["download_info"]["archive_info"]["hashes"]["sha256"] for one in told}


def _name(one: dict[str, Any]) -> tuple[str, str]:
    return one["metadata"]["name"], one["metadata"]["version"]
