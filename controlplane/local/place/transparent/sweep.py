"""Removing everything that belongs to a mesh: its processes, namespaces, link, routes and host rules.

Used at every orderly end, by the guard when the supervisor was killed (`python -m …transparent.sweep
l5d0`), and by the next `local up` for meshes whose guard was killed, too. Removing what is not there is
no error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from linkerd2_py.controlplane.local.place import netns
from linkerd2_py.controlplane.local.place.transparent import host_rules, programs
from linkerd2_py.controlplane.local.place.transparent.programs import NetworkError
from linkerd2_py.controlplane.local.place.transparent.subnet import (
    PREFIX,
    Subnet,
    claim_of,
    number_of,
)
from linkerd2_py.controlplane.local.state import owned

FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
_WAIT_S: Final = 0.02
_PATIENCE: Final = 250


async def sweep(label: str) -> None:
    """Remove the mesh of `label`. NetworkError if the kernel keeps something."""
    members = [name for name in netns.names() if name.startswith(f"{label}-")]
    for name in members:
        await remove_namespace(name)
    with contextlib.suppress(NetworkError):
        await programs.run("ip", "link", "del", label)
    await _remove_rules(label)


async def remove_namespace(name: str) -> None:
    """End whatever still runs there, then the namespace. NetworkError if it cannot be removed."""
    try:
        await _empty(name)
        await programs.run("ip", "netns", "del", name)
    except NetworkError:
        # Somebody else may have been quicker.
        if name in netns.names():
            raise


async def _empty(name: str) -> None:
    for _ in range(_PATIENCE):
        pids = (await programs.run("ip", "netns", "pids", name)).split()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        await asyncio.sleep(_WAIT_S)


async def sweep_dead() -> list[str]:
    """Remove what meshes left behind that did not get to do it; the labels of those."""
    swept = []
    for number in sorted(await _numbers()):
        claim = claim_of(number)
        if claim is None:
            continue
        with claim:
            await sweep(f"{PREFIX}{number}")
        swept.append(f"{PREFIX}{number}")
    return swept


async def _numbers() -> set[int]:
    """The meshes that have a namespace, a link or a rule."""
    links: list[dict[str, Any]] = json.loads(
        await programs.run("ip", "-json", "link", "show") or "[]"
    )
    names = [*netns.names(), *(str(link["ifname"]) for link in links)]
    names += host_rules.labels(await programs.save())
    return {number for name in names if (number := number_of(name)) is not None}


async def _remove_rules(label: str) -> None:
    saved = await programs.save()
    text = host_rules.removal(saved, label=label)
    began = host_rules.began_forwarding(saved, label=label)
    others = [number_of(other) for other in sorted(host_rules.labels(saved) - {label})]
    if began and others and others[0] is not None:
        # Whoever is last must know how the host was.
        text += host_rules.inherited(saved, heir=Subnet(others[0]))
    if text:
        await programs.restore(text)
    if began and not others:
        FORWARDING.write_text("0")


def main() -> int:
    """`LABEL [FOLDER…]`: remove that mesh and these folders of its, unless a living one has that label; 1
    and one line on stderr if something stays.
    """
    label, *folders = sys.argv[1:]
    try:
        claim = claim_of(number_of(label))
        if claim is None:
            return 0
        # While we have the claim no new mesh takes the label.
        with claim:
            asyncio.run(sweep(label))
        for folder in folders:
            owned.remove(Path(folder))
    except (NetworkError, owned.StateError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
