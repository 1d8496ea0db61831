"""What the API is called, and where each thing can be watched: for who serves it and for who asks."""

from __future__ import annotations

from typing import Final

from linkerd2_py.controlplane.public_api.kinds import Kind

GROUP: Final = "tap.linkerd.io"
VERSION: Final = "v1alpha1"
GROUP_VERSION: Final = f"{GROUP}/{VERSION}"
ROOT: Final = f"/apis/{GROUP_VERSION}"


def plural(kind: str) -> str:
    """What a kind is called in paths and in rules."""
    return f"{kind}s"


def watch_path(kind: str, *, name: str, namespace: str) -> str:
    """Where an API server takes the question: its rules are about what is in the path. A namespace is watched
    as a whole.
    """
    root = f"{ROOT}/watch/namespaces"
    if kind == Kind.NAMESPACE:
        return f"{root}/{name}/tap"
    return f"{root}/{namespace}/{plural(kind)}/{name}/tap"
