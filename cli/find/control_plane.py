"""Where a control plane is, however it was found."""

from __future__ import annotations

from dataclasses import dataclass

from linkerd2_py.base.names import DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The URL of its public API, and the namespace meant when none is given."""

    url: str
    namespace: str = DEFAULT_NAMESPACE
