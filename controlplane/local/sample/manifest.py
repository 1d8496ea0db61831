"""The sample application for a cluster: `emojivoto.yaml` with its namespace and image filled in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Final

PROGRAMS: Final[Sequence[str]] = ("chat", "emoji", "vote-bot", "voting", "web")
"""The workloads, each a module beside this one."""
NAMESPACE: Final = "emojivoto"
PULL_POLICIES: Final[Sequence[str]] = ("Always", "IfNotPresent", "Never")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# What a reference to an image is made of; whatever else would be another YAML.
_IMAGE: Final = re.compile(r"[A-Za-z0-9\[]([-A-Za-z0-9_.:/@\[\]]{0,510}[A-Za-z0-9])?")


def manifest(*, namespace: str, image: str, pull_policy: str) -> str:
    """The objects as YAML. ValueError for what cannot stand in them."""
    if not _LABEL.fullmatch(namespace):
        raise ValueError(f"{namespace[:80]!r} is not a name of a namespace")
    if not _IMAGE.fullmatch(image):
        raise ValueError(f"{image[:80]!r} is not a reference to an image")
    if pull_policy not in PULL_POLICIES:
        raise ValueError(f"{pull_policy[:80]!r} is not {', '.join(PULL_POLICIES)}")
    text = Template(Path(__file__).with_name("emojivoto.yaml").read_text(encoding="utf-8"))
    return text.substitute(namespace=namespace, image=image, pull_policy=pull_policy)
