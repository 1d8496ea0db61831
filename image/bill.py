"""The bill of materials: what an image is made of, as CycloneDX 1.5 in JSON."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from image.hashes import sha256_hex

PLACE: Final = "usr/share/linkerd2-py/{image}.cdx.json"


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """One package in an image: `kind` is deb or pypi."""

    kind: str
    name: str
    version: str
    sha256: str = ""
    licence: str = ""

    def purl(self, architecture: str) -> str:
        """Its name among all packages of the world."""
        version = self.version.replace(":", "%3A").replace("+", "%2B").replace("~", "%7E")
        if self.kind == "deb":
            return f"pkg:deb/debian/{self.name}@{version}?arch={architecture}&distro=debian-12"
        return f"pkg:pypi/{self.name.lower().replace('_', '-')}@{version}"

    def stored(self) -> dict[str, str]:
        """For a file of JSON; `Component(**it)` is the way back."""
        return asdict(self)


def bill(image: str, version: str, components: Iterable[Component], *, architecture: str) -> bytes:
    """The same components are the same bytes: it has no time, and its number is made of what it says."""
    listed = [_listed(one, architecture) for one in sorted(set(components))]
    number = uuid.UUID(sha256_hex(json.dumps([image, version, listed]).encode())[:32], version=4)
    told = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": image,
                "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
            }
        },
        "components": listed,
    }
    return json.dumps(told, indent=1).encode() + b"\n"


def _listed(one: Component, architecture: str) -> dict[str, Any]:
    purl = one.purl(architecture)
    told: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": one.name,
        "version": one.version,
        "purl": purl,
    }
    if one.licence:
        told["licenses"] = [{"license": {"name": one.licence}}]
    if one.sha256:
        told["hashes"] = [{"alg": "SHA-256", "content": one.sha256}]
    return told
