"""Names that both planes must spell alike: labels, authorities, environment prefixes.

The values are Linkerd's wherever Linkerd has one, so that its dashboards, queries and proxies
understand ours.
"""

from __future__ import annotations

from typing import Final

CLUSTER_SUFFIX: Final = "svc.cluster.local"
"""Names below this suffix are resolved by the destination API; others by DNS."""

PROXY_ENV_PREFIX: Final = "LINKERD2_PROXY_"

DEFAULT_NAMESPACE: Final = "default"
"""Where a mesh.yaml that names no namespace puts its workloads, and where the command line looks
without one.
"""

CONTROL_PLANE_NAMESPACE: Final = "linkerd"
"""Where the control plane is said to live: in labels, and in the name of every identity."""

LABEL_APP: Final = "app"
LABEL_AUTHORITY: Final = "authority"
LABEL_NAMESPACE: Final = "namespace"
LABEL_POD: Final = "pod"
LABEL_SERVICE: Final = "service"
LABEL_SERVICE_ACCOUNT: Final = "serviceaccount"
LABEL_CONTROL_PLANE_NS: Final = "control_plane_ns"


def owner_label(kind: str) -> str:
    """The label that names a pod's owner of a kind. Prometheus has a meaning of its own for `job`."""
    return "k8s_job" if kind == "job" else kind


def service_name(name: str, *, namespace: str) -> str:
    """The fully qualified name of a service, without a port."""
    return f"{name}.{namespace}.{CLUSTER_SUFFIX}"


def service_authority(name: str, *, namespace: str, port: int) -> str:
    """The logical target of a service port, as in requests and in the `authority` label."""
    return f"{service_name(name, namespace=namespace)}:{port}"


def split_authority(authority: str) -> tuple[str, int | None]:
    """`host:port`, `host`, `[v6]:port` -> (host, port or None). ValueError if the port is not
    1..65535.
    """
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        return host, _port(rest.removeprefix(":")) if rest else None
    host, colon, port = authority.rpartition(":")
    if not colon or ":" in host:
        return authority, None
    return host, _port(port)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError(f"not a port: {text!r}")
    return int(text)
