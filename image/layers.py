"""Contents → layers. A layer is kept by what it was made from, so that a second build makes only what
changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from image import bytecode, debian, wheels
from image.bill import Component
from image.capability import permitted
from image.contents import FOLDER, Layer
from image.errors import ImageError
from image.hashes import digest, sha256_hex
from image.oci import Blob, layer_blob
from image.tree import Entry, Tree, matches

KEPT_LAYERS: Final = 24
CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"
_LICENCE: Final = re.compile(r"^License: *(\S.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Made:
    """A layer, and what is in it."""

    blob: Blob
    components: tuple[Component, ...]


@dataclass(slots=True)
class Workshop:
    """Makes layers. `cache` may be emptied at any time."""

    cache: Path
    own: wheels.Wheel
    architecture: str
    reuse: bool = True
    """Whether a layer that was made before is taken as it is."""

    def make(self, layer: Layer) -> Made:
        """The layer, from the cache or anew. ImageError when it cannot be made."""
        packages = debian.find(layer.debian) if layer.debian else []
        key = self._key(layer, packages)
        kept = self.cache / "layers" / key
        if self.reuse and (made := _read(kept)):
            return made
        tree, components = self._assemble(layer, packages)
        made = Made(layer_blob(tree.archive(), unpacked=tree.size), tuple(components))
        _keep(kept, made)
        return made

    def _key(self, layer: Layer, packages: Sequence[debian.Package]) -> str:
        """Everything that a byte of the layer may depend on."""
        locked = FOLDER / f"locked/{layer.locked}.txt"
        parts = [
            repr(asdict(layer)),
            *(package.sha256 for package in packages),
            locked.read_text() if layer.locked else "",
            self.own.sha256 if layer.own else "",
            *(
                sha256_hex((FOLDER / "programs" / name).read_bytes())
                for name in layer.programs.values()
            ),
            *(sha256_hex(path.read_bytes()) for path in sorted(FOLDER.glob("*.py"))),
            *(self.architecture, sys.version, zlib.ZLIB_RUNTIME_VERSION),
            _version_of("strip") if layer.locked else "",
            _version_of("cc") if layer.programs else "",
        ]
        return sha256_hex("\0".join(parts).encode())

    def _assemble(
        self, layer: Layer, packages: Sequence[debian.Package]
    ) -> tuple[Tree, list[Component]]:
        tree, components = self._debian(layer, packages)
        if layer.locked:
            locked = wheels.fetch(FOLDER / f"locked/{layer.locked}.txt", self.cache / "wheels")
            for wheel in locked:
                tree.update(wheel.tree(drop=layer.drop))
                components.append(_component(wheel))
        if layer.own:
            place = f"{wheels.PLACE}/"
            own = self.own.tree(drop=layer.drop)
            tree.update(own.select(lambda path: matches(path.removeprefix(place), layer.own)))
            components.append(_component(self.own, proven=False))
        if layer.certificates:
            _bundle(tree)
        _written(tree, layer)
        bytecode.add_compiled(tree)
        return tree, components

    def _debian(
        self, layer: Layer, packages: Sequence[debian.Package]
    ) -> tuple[Tree, list[Component]]:
        folder = self.cache / "debian"
        debian.fetch(packages, folder)
        tree, components = Tree(), []
        for package in packages:
            unpacked = debian.unpack(folder / package.file)
            chosen = unpacked.tree.select(
                lambda path: matches(path, layer.keep or ["*"]) and not matches(path, layer.drop)
            )
            tree.update(chosen)
            # Where scanners look for what a package manager that is not there would know.
            status = f"var/lib/dpkg/status.d/{package.name}"
            tree.add(status, Entry(_status(unpacked.control)))
            components.append(
                Component(
                    "deb",
                    package.name,
                    package.version,
                    sha256=package.sha256,
                    licence=_licences(unpacked.tree, package.name),
                )
            )
        return tree, components


def _component(wheel: wheels.Wheel, *, proven: bool = True) -> Component:
    told = wheel.metadata()
    # Of our own there is no file that anybody else has.
    known = sha256_hex(wheel.path.read_bytes()) if proven else ""
    return Component("pypi", told["name"], told["version"], sha256=known, licence=told["licence"])


def _licences(tree: Tree, package: str) -> str:
    entry = tree.entries.get(f"usr/share/doc/{package}/copyright")
    text = entry.content.decode(errors="replace") if entry else ""
    return " AND ".join(sorted({found.strip() for found in _LICENCE.findall(text)}))


def _status(control: str) -> bytes:
    return control.rstrip().encode() + b"\nStatus: install ok installed\n"


def _written(tree: Tree, layer: Layer) -> None:
    """What `contents.toml` itself says."""
    tree.folders |= layer.folders
    for path, target in layer.links.items():
        tree.entries[path] = Entry(link=target)
    for path, text in layer.files.items():
        tree.add(path, Entry(text.removeprefix("\n").encode()))
    for path, name in layer.programs.items():
        capability = permitted(layer.capabilities.get(path, ()))
        source = FOLDER / "programs" / name
        content = _compiled(source) if source.suffix == ".c" else source.read_bytes()
        tree.add(
            path,
            Entry(
                content, mode=0o755, capability=capability if path in layer.capabilities else b""
            ),
        )


def _compiled(source: Path) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        # What is copied to nodes finds no libraries there that it could count on.
        linked = ["-static"] if source.stem.endswith(".static") else ["-pie", "-fPIE"]
        words = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-g0", *linked]
        words += [
            "-Wl,-z,relro,-z,now",
            "-Wl,--build-id=none",
            "-o",
            f"{scratch}/program",
            source.name,
        ]
        done = subprocess.run(words, cwd=source.parent, capture_output=True, check=False)
        if done.returncode:
            raise ImageError(f"{source.name} does not compile: {done.stderr.decode().strip()}")
        return wheels.stripped(Path(scratch, "program").read_bytes())


def _bundle(tree: Tree) -> None:
    """What Debian's trigger makes of its certificates: one file, where OpenSSL looks for it."""
    single = [path for path, _ in tree.files() if path.startswith("usr/share/ca-certificates/")]
    tree.add(CERTIFICATES, Entry(b"".join(tree.entries[path].content for path in single)))
    tree.add("usr/lib/ssl/cert.pem", Entry(link=f"/{CERTIFICATES}"))
    for path in single:
        del tree.entries[path]


def _version_of(program: str) -> str:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ImageError(f"{program} is not here: apt-get install gcc binutils") from None
    return done.stdout.partition("\n")[0]


def _read(kept: Path) -> Made | None:
    """What was kept, if it is still what it was."""
    blob, about = kept.with_suffix(".tar.gz"), kept.with_suffix(".json")
    try:
        content, told = blob.read_bytes(), json.loads(about.read_text())
    except (OSError, ValueError):
        return None
    if digest(content) != told["digest"]:
        return None
    os.utime(blob)
    components = tuple(Component(**one) for one in told["components"])
    return Made(Blob(content, told["diff_id"], told["unpacked"]), components)


def _keep(kept: Path, made: Made) -> None:
    """For the next build; the layers that were not used for longest go."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "digest": made.blob.digest,
        "diff_id": made.blob.diff_id,
        "unpacked": made.blob.unpacked,
        "components": [one.stored() for one in made.components],
    }
    _replace(kept.with_suffix(".json"), json.dumps(told).encode())
    _replace(kept.with_suffix(".tar.gz"), made.blob.content)
    blobs = sorted(
        kept.parent.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    _forget(blobs[KEPT_LAYERS:])


def _forget(blobs: Iterable[Path]) -> None:
    for path in blobs:
        path.unlink(missing_ok=True)
        path.with_name(path.name.replace(".tar.gz", ".json")).unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    """Whoever reads it meanwhile sees the old file or the new one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(path)
