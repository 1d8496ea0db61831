"""The few rules of the host's own packet filter: pods may reach what the host reaches.

Each carries a comment with the mesh's label, by which it is found again and removed. The comment also
remembers whether the host forwarded before, so that even the leftovers of a killed mesh can be undone
completely.
"""

from __future__ import annotations

import re

from linkerd2_py.controlplane.local.place.transparent.subnet import Subnet

_LABELLED = re.compile(
    r'-A \S+ .*--comment "?linkerd2-py/(?P<label>l5d\d+)(?P<off>/no-forwarding)?"?\b'
)


def host_rules(subnet: Subnet, *, forwarded: bool) -> str:
    """For `iptables-restore --noflush`; `forwarded`: whether the host forwarded packets before."""
    note = "" if forwarded else "/no-forwarding"
    comment = f'-m comment --comment "linkerd2-py/{subnet.label}{note}"'
    label = subnet.label
    return (
        "*filter\n"
        f"-I FORWARD -o {label} -m conntrack --ctstate RELATED,ESTABLISHED {comment} -j ACCEPT\n"
        f"-I FORWARD -i {label} {comment} -j ACCEPT\n"
        "COMMIT\n"
        "*nat\n"
        f"-A POSTROUTING -s {subnet.v4} ! -o {label} {comment} -j MASQUERADE\n"
        "COMMIT\n"
    )


def removal(saved: str, *, label: str) -> str:
    """For `iptables-restore --noflush`: takes out of `saved` (iptables-save) what carries `label`; empty
    if nothing does.
    """
    parts: list[str] = []
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line
        found = _LABELLED.match(line)
        if found and found["label"] == label:
            parts += [table, f"-D{line.removeprefix('-A')}", "COMMIT"]
    return "".join(f"{line}\n" for line in parts)


def inherited(saved: str, *, heir: Subnet) -> str:
    """For `iptables-restore --noflush`: the rules of another mesh, with the note that the host did not
    forward before.
    """
    return removal(saved, label=heir.label) + host_rules(heir, forwarded=False)


def labels(saved: str) -> set[str]:
    """The meshes that have rules in `saved`."""
    matches = (_LABELLED.match(line) for line in saved.splitlines())
    return {found["label"] for found in matches if found}


def began_forwarding(saved: str, *, label: str) -> bool:
    """Whether the mesh of `label` turned forwarding on."""
    matches = (_LABELLED.match(line) for line in saved.splitlines())
    return any(found["label"] == label and found["off"] for found in matches if found)
