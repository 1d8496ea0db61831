"""The destination API beside a proxy of ours: `bench.discovery` as a child."""

import json
import sys

from bench.native import ROOT
from bench.programs import flags
from bench.subjects.subject import Site


def control_plane(
    site: Site, *, servers: tuple[str, ...], meshed: bool = False, updates: int = 0
) -> str:
    """Its address. `updates`: changes a second among the servers that pass."""
    options = flags(
        {
            "meshed": meshed,
            "opaque": site.protocol == "tcp",
            "updates": updates or None,
        }
    )
    endpoints = [f"--endpoint={server}" for server in servers]
    passing = [f"--passing={server}" for server in site.passing] if updates else []
    child = site.children.start(
        "discovery",
        [sys.executable, "-m", "bench.discovery", *options, *endpoints, *passing],
        core=site.placement.traffic,
        env={"PYTHONPATH": str(ROOT)},
    )
    address: str = json.loads(child.next_line())["address"]
    return address
