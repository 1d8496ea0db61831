"""Where a control plane is, however it was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linkerd2_py.base.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from linkerd2_py.cli.cluster import Cluster


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The URL of its public API, the namespace meant when none is given, and what says that it is this one.

    One in a `cluster` is asked through its API server; `proxy_api` is the address where proxies ask, where
    that is known.
    """

    url: str
    namespace: str = DEFAULT_NAMESPACE
    found_by: str = field(default="--api-addr", compare=False)
    proxy_api: str = field(default="", compare=False)
    cluster: Cluster | None = field(default=None, compare=False)
