"""Reads an image of one archive, as a container runtime would, and lays its layers down."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from image.tree import Entry, Tree

CAPABILITY = "SCHILY.xattr.security.capability"


@dataclass
class OciArchive:
    """The only image of an archive; every blob is checked against its name."""

    path: Path
    blobs: dict[str, bytes] = field(default_factory=dict)
    index: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with tarfile.open(self.path) as archive:
            files = {member.name: archive.extractfile(member) for member in archive}
            content = {name: file.read() for name, file in files.items() if file}
        self.index = json.loads(content.pop("index.json"))
        assert json.loads(content.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
        for name, blob in content.items():
            digest = hashlib.sha256(blob).hexdigest()
            assert name == f"blobs/sha256/{digest}"
            self.blobs[f"sha256:{digest}"] = blob

    def _described(self, descriptor: dict[str, Any]) -> bytes:
        blob = self.blobs[descriptor["digest"]]
        assert len(blob) == descriptor["size"]
        return blob

    @property
    def digest(self) -> str:
        (only,) = self.index["manifests"]
        return str(only["digest"])

    @property
    def manifest(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._described(self.index["manifests"][0]))
        return told

    @property
    def config(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._described(self.manifest["config"]))
        return told

    @property
    def compressed(self) -> int:
        """What a node fetches."""
        return sum(len(blob) for blob in self.blobs.values())

    def layers(self) -> Iterator[bytes]:
        """Uncompressed, from the lowest, each checked."""
        diff_ids = self.config["rootfs"]["diff_ids"]
        for descriptor, diff_id in zip(self.manifest["layers"], diff_ids, strict=True):
            raw = gzip.decompress(self._described(descriptor))
            assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == diff_id
            yield raw

    def members(self) -> Iterator[tarfile.TarInfo]:
        """Of all layers."""
        for raw in self.layers():
            with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
                yield from archive

    def tree(self) -> Tree:
        """Its files, as all layers leave them."""
        tree = Tree()
        for raw in self.layers():
            with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    content = file.read() if file else b""
                    if file or member.issym():
                        entry = Entry(content, member.mode, member.linkname)
                        tree.entries[member.name] = entry
        return tree

    def unpack(self, root: Path) -> Path:
        """As root, with the capabilities of files."""
        for raw in self.layers():
            with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
                archive.extractall(root)
                for member in archive:
                    if told := member.pax_headers.get(CAPABILITY):
                        capability = told.encode("utf-8", "surrogateescape")
                        os.setxattr(root / member.name, "security.capability", capability)
        root.chmod(0o755)
        return root
