"""Images without a registry: written as OCI archives, brought into a node from such."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.support.cluster.node.machine import entered
from tests.support.cluster.node.settings import SOCKET

_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"


class ImageError(Exception):
    """An archive that cannot be brought in; the message has what was said of it."""


def write(path: Path, name: str, files: Mapping[str, Path], *, entry: Sequence[str]) -> Path:
    """An image of these files alone, by where they are in it, as an archive at `path`."""
    layer = _layer(files)
    packed = gzip.compress(layer, 1, mtime=0)
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": list(entry)},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _described(_CONFIG, config),
            "layers": [_described(_LAYER, packed)],
        }
    )
    named = {"annotations": {"io.containerd.image.name": name}}
    index = {"schemaVersion": 2, "manifests": [_described(_MANIFEST, manifest) | named]}
    with tarfile.open(path, "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", _json(index))
        for blob in (packed, config, manifest):
            _add(archive, f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}", blob)
    return path


def load(root: Path, archive: Path) -> list[str]:
    """Bring what an archive has into the node at `root`: the names by which pods call it.

    Raises `ImageError`, and `OSError` where the archive cannot be read.
    """
    with archive.open("rb") as file:
        try:
            imported = _ctr(root, "import", "--snapshotter=overlayfs", "-", stdin=file)
        except ImageError as error:
            raise ImageError(f"{archive} is not an image: {error}") from None
    names = re.findall(r"^unpacking (\S+)", imported, re.MULTILINE)
    if not names:
        raise ImageError(f"{archive}: no image with a name in it")
    return [_as_pods_say(root, name) for name in names]


def is_ready(root: Path) -> bool:
    """Whether the node's runtime answers."""
    try:
        _ctr(root, "list", "--quiet")
    except ImageError:
        return False
    return True


def _as_pods_say(root: Path, name: str) -> str:
    """A pod's `name:tag` means Docker's registry, wherever the image comes from."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    full = f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    _ctr(root, "tag", "--force", name, full)
    return name


def _ctr(root: Path, *words: str, stdin: Any = subprocess.DEVNULL) -> str:
    command = ["ctr", f"--address={SOCKET}", "--namespace=k8s.io", "images", *words]
    done = subprocess.run(
        [*entered(root), *command], stdin=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ImageError(f"ctr images {words[0]}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def _layer(files: Mapping[str, Path]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as layer:
        for inside, path in files.items():
            about = tarfile.TarInfo(inside.lstrip("/"))
            about.mode = path.stat().st_mode & 0o777
            about.size = path.stat().st_size
            with path.open("rb") as content:
                layer.addfile(about, content)
    return whole.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    archive.addfile(about, io.BytesIO(content))


def _described(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
