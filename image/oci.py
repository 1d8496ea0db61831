"""Layers → an image as the Open Container Initiative defines it: blobs, a layout of several, and an archive
of one, which `ctr images import`, `skopeo` and `buildah` read.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from image.contents import Image
from image.hashes import digest
from image.tree import CAPABILITY

LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
_LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Blob:
    """A compressed layer, and the digest of what it is uncompressed."""

    content: bytes
    diff_id: str
    unpacked: int
    """Bytes of the files in it."""

    @property
    def digest(self) -> str:
        return digest(self.content)


def layer_blob(archive: bytes, *, unpacked: int) -> Blob:
    """The same archive is the same blob."""
    return Blob(gzip.compress(archive, 9, mtime=0), digest(archive), unpacked)


@dataclass(frozen=True, slots=True)
class Built:
    """An image that is all there."""

    image: Image
    reference: str
    manifest: bytes
    config: bytes
    layers: Sequence[Blob]

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    @property
    def compressed(self) -> int:
        """What a node fetches."""
        return len(self.manifest) + len(self.config) + sum(len(one.content) for one in self.layers)

    @property
    def unpacked(self) -> int:
        """Bytes of the files that it lays down."""
        return sum(one.unpacked for one in self.layers)

    def blobs(self) -> dict[str, bytes]:
        """By digest, everything that its manifest names, and itself."""
        parts = [self.manifest, self.config, *(one.content for one in self.layers)]
        return {digest(part): part for part in parts}

    def descriptor(self, *, architecture: str) -> dict[str, Any]:
        """Its line in an index. The first annotation is how containerd calls it."""
        return {
            "mediaType": MANIFEST,
            "digest": self.digest,
            "size": len(self.manifest),
            "platform": {"architecture": architecture, "os": "linux"},
            "annotations": {
                "io.containerd.image.name": self.reference,
                "org.opencontainers.image.ref.name": self.reference.rpartition(":")[2],
            },
        }


def build(
    image: Image,
    layers: Mapping[str, Blob],
    *,
    reference: str,
    version: str,
    architecture: str,
) -> Built:
    """Join layers, from the lowest, to one image."""
    blobs = [layers[name] for name in [*image.layers, image.name]]
    labels = {
        "org.opencontainers.image.title": image.name,
        "org.opencontainers.image.description": image.title,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.base.name": "debian:bookworm",
    }
    env = {"PATH": _PATH, **image.env}
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {
                "User": image.user,
                "Entrypoint": list(image.entrypoint),
                "Env": [f"{name}={value}" for name, value in env.items()],
                "WorkingDir": "/",
                "Labels": labels,
                **(
                    {"ExposedPorts": {f"{port}/tcp": {} for port in image.ports}}
                    if image.ports
                    else {}
                ),
            },
            "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in blobs]},
            "history": [{"created_by": f"layer {name}"} for name in [*image.layers, image.name]],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
            "layers": [
                {"mediaType": LAYER, "digest": one.digest, "size": len(one.content)}
                for one in blobs
            ],
            "annotations": labels,
        }
    )
    return Built(image, reference, manifest, config, blobs)


def write_archive(built: Built, path: Path, *, architecture: str) -> None:
    """One image in one file."""
    parts = {
        "oci-layout": _LAYOUT,
        "index.json": _index([built], architecture),
        **{f"blobs/sha256/{name[7:]}": content for name, content in sorted(built.blobs().items())},
    }
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with tarfile.open(fresh, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    fresh.replace(path)


def lay_down(built: Built, folder: Path) -> None:
    """Each layer as a folder of its name, for a build that makes its own archives of them. Needs root, for
    capabilities of files.
    """
    for name, blob in zip([*built.image.layers, built.image.name], built.layers, strict=True):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob.content))) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                _lay(member, file.read() if file else b"", place / member.name)


def _lay(member: tarfile.TarInfo, content: bytes, path: Path) -> None:
    """One of them; folders come before what is in them."""
    if member.issym():
        path.unlink(missing_ok=True)
        path.symlink_to(member.linkname)
        return
    if member.isdir():
        path.mkdir(exist_ok=True)
    else:
        path.write_bytes(content)
    path.chmod(member.mode)
    if told := member.pax_headers.get(CAPABILITY):
        os.setxattr(path, "security.capability", told.encode("utf-8", "surrogateescape"))


def write_layout(images: Sequence[Built], folder: Path, *, architecture: str) -> None:
    """Several images in a folder; what they share is there once, what is of others goes."""
    wanted = {name[7:]: content for built in images for name, content in built.blobs().items()}
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for path in blobs.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        if not (blobs / name).exists():
            (blobs / name).write_bytes(content)
    (folder / "oci-layout").write_bytes(_LAYOUT)
    (folder / "index.json").write_bytes(_index(images, architecture))


def _index(images: Sequence[Built], architecture: str) -> bytes:
    lines = [built.descriptor(architecture=architecture) for built in images]
    return _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": lines})


def _json(told: object) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()
