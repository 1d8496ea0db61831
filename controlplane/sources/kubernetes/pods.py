"""Pods: what is kept of one, with what its sidecar says of itself in the pod's own words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from linkerd2_py.base.names import PROXY_ENV_PREFIX
from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.balancing import WEIGHT, weight_said
from linkerd2_py.controlplane.mesh.objects import (
    DEFAULT_OPAQUE_PORTS,
    NO_PORTS,
    ContainerPort,
    Key,
    Owner,
    Pod,
    PodStatus,
    PortSet,
)
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    annotation,
    items,
    key_of,
    labels,
    mapping,
    number,
    port_of_address,
    ports_of,
    seconds,
    text,
)
from linkerd2_py.controlplane.sources.kubernetes.inbound import read_inbound

CONTROL_PLANE_LABEL: Final = "linkerd.io/control-plane-ns"
"""Whoever injects a proxy says by this label to which control plane it belongs."""
SKIPPED_PORTS: Final = "config.linkerd.io/skip-inbound-ports"
OPAQUE_PORTS: Final = "config.linkerd.io/opaque-ports"
PROXY_CONTAINER: Final = "linkerd-proxy"
# Linkerd's, for a proxy whose environment does not say.
INBOUND_PORT: Final = 4143
ADMIN_PORT: Final = 4191
CONTROL_PORT: Final = 4190

_PHASES: Final[dict[str, PodStatus]] = {
    "Running": "Running",
    "Pending": "Pending",
    "Failed": "Failed",
    # Its programs have ended as they should; to peers that is the same.
    "Succeeded": "Failed",
}


@dataclass(frozen=True, slots=True)
class Identities:
    """Whose identities are ours: those of `control_plane`, the namespace of its control plane, in
    `trust_domain`.
    """

    control_plane: str = "linkerd"
    trust_domain: str = "cluster.local"

    def of(self, *, service_account: str, namespace: str) -> str:
        """The name in the certificates of an account's proxies."""
        account = f"{service_account}.{namespace}.serviceaccount.identity"
        return f"{account}.{self.control_plane}.{self.trust_domain}"


def read_pod(
    found: Json,
    *,
    identities: Identities,
    default_opaque_ports: frozenset[int] = DEFAULT_OPAQUE_PORTS,
) -> Pod:
    """The pod with its direct owner, and in no zone yet: owners of owners and nodes are other objects."""
    namespace, name = key_of(found)
    account = text(found, "spec", "serviceAccountName") or "default"
    control_plane = text(found, "metadata", "labels", CONTROL_PLANE_LABEL)
    proxy = _environment(found) if control_plane else {}
    ips = _ips(found)
    problem, last_exit, last_exit_at = _troubles(found)
    admin = port_of_address(proxy.get("ADMIN_LISTEN_ADDR", ""), default=ADMIN_PORT)
    control = port_of_address(proxy.get("CONTROL_LISTEN_ADDR", ""), default=CONTROL_PORT)
    ports = tuple(_container_ports(found))
    ours = control_plane == identities.control_plane
    return Pod(
        namespace=namespace,
        name=name,
        owner=read_owner(found),
        ips=ips,
        labels=labels(found, "metadata", "labels"),
        ready=_is_ready(found),
        status=_status(found),
        node=text(found, "spec", "nodeName"),
        service_account=account,
        meshed=bool(control_plane),
        proxied=_proxied(found) if control_plane else NO_PORTS,
        # Who proves itself to another mesh's control plane proves nothing to us.
        identity=identities.of(service_account=account, namespace=namespace) if ours else "",
        inbound_port=_inbound_port(proxy) if control_plane else 0,
        admin_addr=f"{_bracketed(ips[0])}:{admin}" if control_plane and ips else None,
        # A proxy that is told whom to tell does; one that is not listens there for nobody.
        tap_addr=f"{_bracketed(ips[0])}:{control}" if proxy.get("TAP_SVC_NAME") and ips else "",
        restarts=sum(number(one, "restartCount") for one in _containers(found)),
        started=seconds(text(found, "status", "startTime")),
        problem=problem,
        last_exit=last_exit,
        last_exit_at=last_exit_at,
        control_plane=control_plane,
        opaque_ports=_opaque_ports(found, ports=ports, default=default_opaque_ports),
        admin_ports=frozenset({admin, control}) if control_plane else frozenset(),
        ports=ports,
        host_network=mapping(found, "spec").get("hostNetwork") is True,
        host_ips=_host_ips(found),
        inbound=read_inbound(found),
        weight=weight_said(annotation(found, WEIGHT), kind="pod", key=Key(namespace, name)),
    )


def read_owner(found: Json) -> Owner | None:
    """The controller of any object; its kind in lower case."""
    for owner in items(found, "metadata", "ownerReferences"):
        kind, name = text(owner, "kind"), text(owner, "name")
        if owner.get("controller") is True and kind and name:
            return Owner(kind.lower(), name)
    return None


def _status(found: Json) -> PodStatus:
    """One that is being deleted still serves those that it served, until its programs have ended."""
    status = _PHASES.get(text(found, "status", "phase"), "Pending")
    deleted = text(found, "metadata", "deletionTimestamp")
    return "Terminating" if deleted and status != "Failed" else status


def _is_ready(found: Json) -> bool:
    conditions = items(found, "status", "conditions")
    return any(text(one, "type") == "Ready" and text(one, "status") == "True" for one in conditions)


def _ips(found: Json) -> tuple[str, ...]:
    """All addresses, the pod's first one first; older clusters say only that."""
    ips = tuple(filter(None, (text(one, "ip") for one in items(found, "status", "podIPs"))))
    return ips or tuple(filter(None, (text(found, "status", "podIP"),)))


def _host_ips(found: Json) -> tuple[str, ...]:
    """The addresses of its node."""
    ips = tuple(filter(None, (text(one, "ip") for one in items(found, "status", "hostIPs"))))
    return ips or tuple(filter(None, (text(found, "status", "hostIP"),)))


def _container_ports(found: Json) -> Iterator[ContainerPort]:
    for group in ("initContainers", "containers"):
        for container in items(found, "spec", group):
            for one in items(container, "ports"):
                host = number(one, "hostPort")
                yield ContainerPort(number(one, "containerPort"), text(one, "name"), host)


def _opaque_ports(
    found: Json, *, ports: tuple[ContainerPort, ...], default: frozenset[int]
) -> frozenset[int]:
    """As its own annotation says, which its proxy goes by as well: namespaces speak to injectors only."""
    listing = annotation(found, OPAQUE_PORTS)
    if listing is None:
        return default
    return ports_of(listing, tuple((port.name, port.number) for port in ports if port.name))


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def _environment(found: Json) -> dict[str, str]:
    """The proxy's settings without the prefix of their names. As a native sidecar it stands among the init
    containers.
    """
    for group in ("containers", "initContainers"):
        for container in items(found, "spec", group):
            if text(container, "name") == PROXY_CONTAINER:
                return {
                    text(one, "name").removeprefix(PROXY_ENV_PREFIX): text(one, "value")
                    for one in items(container, "env")
                }
    return {}


def _inbound_port(proxy: dict[str, str]) -> int:
    return port_of_address(proxy.get("INBOUND_LISTEN_ADDR", ""), default=INBOUND_PORT)


def _proxied(found: Json) -> PortSet:
    """All ports but those that interception leaves alone."""
    return PortSet(ports_of(annotation(found, SKIPPED_PORTS) or ""), others=True)


def _containers(found: Json) -> Iterator[Json]:
    yield from items(found, "status", "initContainerStatuses")
    yield from items(found, "status", "containerStatuses")


def _troubles(found: Json) -> tuple[str, str, float]:
    """Why it is not ready; why a program of it was last started again, and when."""
    problem, last_exit, last_exit_at = "", "", 0.0
    for container in _containers(found):
        name = text(container, "name")
        waits = text(container, "state", "waiting", "reason")
        # Every pod waits for these once.
        if waits and waits not in {"ContainerCreating", "PodInitializing"}:
            problem = problem or f"{name}: {waits}"
        ended = text(container, "lastState", "terminated", "finishedAt")
        if seconds(ended) > last_exit_at:
            last_exit_at = seconds(ended)
            reason = text(container, "lastState", "terminated", "reason")
            code = number(container, "lastState", "terminated", "exitCode")
            last_exit = f"{name}: {reason or 'ended'} (exit status {code})"
    return problem, last_exit, last_exit_at
