"""The control plane beside a proxy of ours: `bench.discovery` as a child."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import template
from bench.certificates import Certificates, Leaf
from bench.discovery import AUTHORITY, NAMESPACE, WORKLOAD
from bench.errors import BenchError
from bench.native import ROOT
from bench.programs import flags
from bench.subjects.subject import Site

_TOKEN = "token"  # a file's name


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Where it serves; with `certificates` it certifies those they name, who find their tokens
    in `folder`.
    """

    address: str
    certificates: Certificates | None = None
    folder: Path | None = None

    def policy_for(self, pod: int = 0) -> dict[str, str]:
        """What a proxy is told that asks for policy in the name of one of the pods."""
        workload = {"ns": NAMESPACE, "pod": f"{WORKLOAD}-{pod}"}
        return {"POLICY_SVC_ADDR": self.address, "POLICY_WORKLOAD": json.dumps(workload)}

    def identity_of(self, leaf: Leaf) -> dict[str, str]:
        """What a proxy with the identity of `leaf` is told, without the prefix of its variables."""
        if self.certificates is None or self.folder is None:
            raise BenchError("this control plane certifies nobody")
        own = _own_folder(self.folder, leaf)
        return {
            "IDENTITY_SVC_ADDR": self.address,
            "IDENTITY_TRUST_ANCHORS": self.certificates.anchors.read_text(),
            "IDENTITY_DIR": str(own),
            "IDENTITY_TOKEN_FILE": str(own / _TOKEN),
            "IDENTITY_LOCAL_NAME": leaf.name,
        }


def control_plane(
    site: Site,
    *,
    servers: tuple[str, ...],
    meshed: bool = False,
    updates: int = 0,
    certificates: Certificates | None = None,
    mesh: str = "",
) -> ControlPlane:
    """Started, and ready. `updates`: changes a second among the servers that pass. `certificates`: each
    server proves to be theirs. `mesh`: the template of a mesh.yaml that says what requests follow.
    """
    options = flags(
        {
            "meshed": meshed,
            "opaque": site.protocol == "tcp",
            "updates": updates or None,
            "mesh": _mesh_file(site, mesh) if mesh else None,
        }
    )
    endpoints = [f"--endpoint={server}" for server in servers]
    passing = [f"--passing={server}" for server in site.passing] if updates else []
    folder = site.folder("identities") if certificates else None
    identity = _identity(certificates, folder) if certificates and folder else []
    child = site.children.start(
        "discovery",
        [sys.executable, "-m", "bench.discovery", *options, *endpoints, *passing, *identity],
        core=site.placement.traffic,
        env={"PYTHONPATH": str(ROOT)},
    )
    address: str = json.loads(child.next_line())["address"]
    return ControlPlane(address, certificates, folder)


def _mesh_file(site: Site, name: str) -> Path:
    return template.write(
        name,
        site.folder("mesh"),
        servers=(),
        authority=AUTHORITY,
        clients='["127.0.0.0/8"]',
        # Nobody comes from there.
        strangers='["192.0.2.1/32"]',
    )


def _identity(certificates: Certificates, folder: Path) -> list[str]:
    words = [f"--issuer={certificates.issuer}", f"--identity={certificates.server.name}"]
    for leaf in (certificates.client, certificates.server):
        own = _own_folder(folder, leaf)
        own.mkdir(mode=0o700)
        words.append(f"--token={leaf.name}={own / _TOKEN}")
    return words


def _own_folder(folder: Path, leaf: Leaf) -> Path:
    return folder / leaf.name
