"""The rules of a mesh.yaml: which fields there are, what they may hold, and how they refer to each other."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from linkerd2_py.base.names import DEFAULT_NAMESPACE
from linkerd2_py.controlplane.mesh.objects import PortSpec
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile
from linkerd2_py.controlplane.sources.local import notations, traffic_rules
from linkerd2_py.controlplane.sources.local.egress_rules import EgressRules
from linkerd2_py.controlplane.sources.local.mesh_spec import (
    MeshSpec,
    OutboundSpec,
    ReadyCheck,
    ServiceSpec,
    WorkloadSpec,
)
from linkerd2_py.controlplane.sources.local.names import LABEL_RULE, is_label
from linkerd2_py.controlplane.sources.local.profile_rules import ProfileRules
from linkerd2_py.controlplane.sources.local.traffic_rules import TrafficRules
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

T = TypeVar("T")
DEFAULT_PORT = 80
# A loopback address per replica comes from one /16; nobody runs more of one workload on one machine.
MOST_REPLICAS = 250
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TOP = ("namespace", "services", "workloads", "profiles", "egress")
_SERVICE = (
    "workload",
    "port",
    "targetPort",
    "opaque",
    "ports",
    "clusterIP",
    *traffic_rules.OF_SERVICES,
)
# What Kubernetes calls the address of a service that has none.
_NO_ADDRESS = "None"
_PORT = ("name", "port", "targetPort", "opaque")
_WORKLOAD = (
    "command",
    "replicas",
    "meshed",
    "env",
    "outbound",
    "ready",
    "serviceAccount",
    "defaultInboundPolicy",
    "requireIdentityPorts",
    "weight",
    "zone",
)
# Linkerd's, as `config.linkerd.io/default-inbound-policy` has them.
INBOUND_POLICIES = (
    "all-unauthenticated",
    "all-authenticated",
    "cluster-unauthenticated",
    "cluster-authenticated",
    "deny",
)

Entries = Mapping[str, Spot]


class MeshRules:
    """One pass over a file. What cannot be used is noted in the reader and left out."""

    def __init__(self, reader: NodeReader) -> None:
        self._reader = reader
        self._namespace = DEFAULT_NAMESPACE
        self._service_spots: Entries = {}
        self._services: dict[str, ServiceSpec] = {}
        self._target_ports: dict[str, dict[int, bool]] = {}
        self._traffic: dict[str, dict[str, Spot]] = {}

    def mesh(self, root: Spot) -> MeshSpec:
        """Read services before workloads: workloads name the services they call."""
        entries = self._reader.fields(root, allowed=_TOP) or {}
        if "namespace" in entries:
            self._namespace = self._label(entries["namespace"]) or self._namespace
        workload_spots = self._workload_spots(entries, root=root)
        self._service_spots = self._named(entries["services"]) if "services" in entries else {}
        for name, spot in self._service_spots.items():
            self._add_service(name, spot=spot, workloads=workload_spots)
        workloads = {name: self._workload(name, spot=p) for name, p in workload_spots.items()}
        profiles = self._profiles(entries["profiles"]) if "profiles" in entries else ()
        traffic = TrafficRules(
            self._reader,
            namespace=self._namespace,
            services=self._services,
            named=self._service_spots,
            workloads=workloads,
            profiled={one.name.partition(".")[0] for one in profiles if one.routes},
        )
        services, policies = traffic.said(self._traffic)
        if "egress" in entries:
            egress = EgressRules(self._reader, namespace=self._namespace)
            policies += egress.objects(entries["egress"])
        return MeshSpec(
            namespace=self._namespace,
            services=MappingProxyType(services),
            workloads=MappingProxyType(workloads),
            profiles=profiles,
            policies=policies,
        )

    def _workload_spots(self, entries: Entries, *, root: Spot) -> Entries:
        if "workloads" not in entries:
            missing = root.below("workloads", node=root.node)
            self._reader.refuse(missing, reason="is missing: nothing would run")
            return {}
        return self._named(entries["workloads"])

    def _named(self, spot: Spot) -> Entries:
        entries = self._reader.mapping(spot) or {}
        for name in [name for name in entries if not is_label(name)]:
            self._reader.refuse(entries.pop(name), reason=f"its name {LABEL_RULE}")
        return entries

    def _label(self, spot: Spot) -> str | None:
        text = self._reader.text(spot)
        if text is None or is_label(text):
            return text
        self._reader.refuse(spot, reason=f"{LABEL_RULE}, not {text[:80]!r}")
        return None

    def _profiles(self, spot: Spot) -> tuple[ServiceProfile, ...]:
        rules = ProfileRules(self._reader, namespace=self._namespace)
        found = []
        for name, each in (self._reader.mapping(spot) or {}).items():
            if name not in self._service_spots:
                known = ", ".join(self._service_spots) or "none"
                reason = f"there is no service {name[:80]!r}; there are: {known}"
                self._reader.refuse(each, reason=reason)
                continue
            profile = rules.profile(name, each)
            if profile is not None:
                found.append(profile)
        return tuple(found)

    # Services

    def _add_service(self, name: str, *, spot: Spot, workloads: Entries) -> None:
        known = len(self._reader.problems)
        entries = self._reader.fields(spot, allowed=_SERVICE)
        if entries is None:
            return
        workload = self._workload_of(entries, spot=spot, workloads=workloads)
        ports = self._ports(entries, workload=workload)
        headless = "clusterIP" in entries and self._reader.only(
            entries["clusterIP"], word=_NO_ADDRESS
        )
        # Half a service would only make its callers look wrong too.
        if workload is None or len(self._reader.problems) > known:
            return
        self._services[name] = ServiceSpec(
            self._namespace, name, workload, ports, headless=headless
        )
        self._traffic[name] = {
            field: each for field, each in entries.items() if field in traffic_rules.OF_SERVICES
        }

    def _workload_of(self, entries: Entries, *, spot: Spot, workloads: Entries) -> str | None:
        if "workload" not in entries:
            missing = spot.below("workload", node=spot.node)
            self._reader.refuse(missing, reason="is missing: name a workload")
            return None
        name = self._reader.text(entries["workload"])
        if name is None or name in workloads:
            return name
        known = ", ".join(workloads) or "none"
        reason = f"there is no workload {name[:80]!r}; there are: {known}"
        self._reader.refuse(entries["workload"], reason=reason)
        return None

    def _ports(self, entries: Entries, *, workload: str | None) -> tuple[PortSpec, ...]:
        if "ports" not in entries:
            single = self._port(entries, name="", default=DEFAULT_PORT, workload=workload)
            return (single,) if single else ()
        for name in ("port", "targetPort", "opaque"):
            if name in entries:
                self._reader.refuse(entries[name], reason="goes inside ports when there are ports")
        found: list[PortSpec] = []
        for spot in self._reader.items(entries["ports"]) or ():
            port = self._listed_port(spot, earlier=found, workload=workload)
            if port is not None:
                found.append(port)
        return tuple(found)

    def _listed_port(
        self, spot: Spot, *, earlier: list[PortSpec], workload: str | None
    ) -> PortSpec | None:
        entries = self._reader.fields(spot, allowed=_PORT)
        if entries is None:
            return None
        if "port" not in entries:
            self._reader.refuse(spot.below("port", node=spot.node), reason="is missing")
            return None
        name = self._label(entries["name"]) if "name" in entries else ""
        port = self._port(entries, name=name or "", default=None, workload=workload)
        if port is None:
            return None
        if any(other.port == port.port for other in earlier):
            self._reader.refuse(entries["port"], reason=f"port {port.port} is listed twice")
            return None
        if port.name and any(other.name == port.name for other in earlier):
            self._reader.refuse(entries["name"], reason=f"name {port.name!r} is listed twice")
            return None
        return port

    def _port(
        self, entries: Entries, *, name: str, default: int | None, workload: str | None
    ) -> PortSpec | None:
        number = self._port_number(entries["port"]) if "port" in entries else default
        target = self._port_number(entries["targetPort"]) if "targetPort" in entries else number
        opaque = self._reader.boolean(entries["opaque"]) if "opaque" in entries else False
        if number is None or target is None or opaque is None:
            return None
        if workload is not None:
            self._note_target(workload, target=target, opaque=opaque, entries=entries)
        return PortSpec(name, number, target, opaque)

    def _note_target(self, workload: str, *, target: int, opaque: bool, entries: Entries) -> None:
        # The pod's proxy must know whether to parse what arrives, whichever service it came by.
        targets = self._target_ports.setdefault(workload, {})
        if targets.setdefault(target, opaque) != opaque:
            spot = entries.get("opaque") or entries.get("targetPort") or entries.get("port")
            reason = f"port {target} of workload {workload} cannot be opaque for one service only"
            self._reader.refuse(spot or entries["workload"], reason=reason)

    def _port_number(self, spot: Spot) -> int | None:
        return self._reader.whole(spot, least=1, most=65535)

    # Workloads

    def _workload(self, name: str, *, spot: Spot) -> WorkloadSpec:
        entries = self._reader.fields(spot, allowed=_WORKLOAD) or {}
        replicas: int | None = 1
        if "replicas" in entries:
            replicas = self._reader.whole(entries["replicas"], least=0, most=MOST_REPLICAS)
        meshed = self._reader.boolean(entries["meshed"]) if "meshed" in entries else True
        if meshed is False:
            self._refuse_policy(entries)
        return WorkloadSpec(
            namespace=self._namespace,
            name=name,
            service_account=self._service_account(entries, workload=name),
            command=self._command(entries, spot=spot),
            replicas=replicas or 0,
            meshed=bool(meshed),
            env=MappingProxyType(self._env(entries)),
            outbound=self._outbound(entries),
            ready=self._ready(entries["ready"]) if "ready" in entries else None,
            target_ports=MappingProxyType(self._target_ports.get(name, {})),
            default_inbound_policy=self._inbound_policy(entries),
            weights=self._in_turn(entries, "weight", notations.weight),
            zones=self._in_turn(entries, "zone", notations.zone),
            require_identity_ports=self._identity_ports(entries, workload=name),
        )

    def _service_account(self, entries: Entries, *, workload: str) -> str:
        # Kubernetes' `default` would make every workload of the file the same to its peers.
        found = self._label(entries["serviceAccount"]) if "serviceAccount" in entries else None
        return found or workload

    def _refuse_policy(self, entries: Entries) -> None:
        for name in ("defaultInboundPolicy", "requireIdentityPorts"):
            if name in entries:
                self._reader.refuse(entries[name], reason="needs a proxy, but meshed is false")

    def _in_turn(
        self, entries: Entries, name: str, read: Callable[[NodeReader, Spot], T | None]
    ) -> tuple[T, ...]:
        """What all replicas have, or a list of what they have in turn."""
        if name not in entries:
            return ()
        spot = entries[name]
        spots = self._reader.items(spot) if self._reader.is_list(spot) else [spot]
        found = [read(self._reader, one) for one in (spots or ())[:MOST_REPLICAS]]
        return tuple(one for one in found if one is not None)

    def _inbound_policy(self, entries: Entries) -> str:
        if "defaultInboundPolicy" not in entries:
            return ""
        spot = entries["defaultInboundPolicy"]
        return self._reader.one_of(spot, words=INBOUND_POLICIES) or ""

    def _identity_ports(self, entries: Entries, *, workload: str) -> tuple[int, ...]:
        if "requireIdentityPorts" not in entries:
            return ()
        found: list[int] = []
        for spot in self._reader.items(entries["requireIdentityPorts"]) or ():
            port = self._port_number(spot)
            if port is None:
                continue
            if port in found:
                self._reader.refuse(spot, reason=f"port {port} is listed twice")
            elif self._is_served(port, workload=workload):
                found.append(port)
            else:
                # A slip of the pen must not leave a port open.
                known = ", ".join(map(str, self._target_ports.get(workload, {}))) or "none"
                reason = f"no service leads to port {port} of workload {workload}; its ports are: {known}"
                self._reader.refuse(spot, reason=reason)
        return tuple(found)

    def _is_served(self, port: int, *, workload: str) -> bool:
        # A service that could not be read may be the one that leads there.
        unread = len(self._services) < len(self._service_spots)
        return unread or port in self._target_ports.get(workload, {})

    def _command(self, entries: Entries, *, spot: Spot) -> tuple[str, ...]:
        if "command" not in entries:
            missing = spot.below("command", node=spot.node)
            self._reader.refuse(missing, reason="is missing: a list, program first")
            return ()
        words = [self._reader.text(item) for item in self._reader.items(entries["command"]) or ()]
        if words and words[0] == "":
            self._reader.refuse(entries["command"], reason="must begin with a program")
        return tuple(word for word in words if word is not None)

    def _env(self, entries: Entries) -> dict[str, str]:
        if "env" not in entries:
            return {}
        env: dict[str, str] = {}
        for name, spot in (self._reader.mapping(entries["env"]) or {}).items():
            if not _VARIABLE.match(name):
                self._reader.refuse(spot, reason="its name must be letters, digits and _")
                continue
            text = self._reader.text(spot)
            if text is not None:
                env[name] = text
        return env

    def _outbound(self, entries: Entries) -> tuple[OutboundSpec, ...]:
        if "outbound" not in entries:
            return ()
        found: dict[str, OutboundSpec] = {}
        for spot in self._reader.items(entries["outbound"]) or ():
            spec = self._called_service(spot)
            if spec is None:
                continue
            # Its address has one variable, named after the service.
            if spec.service in found:
                self._reader.refuse(spot, reason=f"service {spec.service} is listed twice")
                continue
            found[spec.service] = spec
        return tuple(found.values())

    def _called_service(self, spot: Spot) -> OutboundSpec | None:
        text = self._reader.text(spot)
        if text is None:
            return None
        name, colon, number = text.partition(":")
        if name not in self._service_spots:
            known = ", ".join(self._service_spots) or "none"
            reason = f"there is no service {name[:80]!r}; there are: {known}"
            self._reader.refuse(spot, reason=reason)
            return None
        service = self._services.get(name)
        if service is None:
            return None  # Its own problem is noted already.
        if not colon:
            return OutboundSpec(self._namespace, name, service.ports[0].port)
        declared = {str(spec.port): spec.port for spec in service.ports}
        if number not in declared:
            reason = f"service {name} has no port {number[:20]!r}; it has: {', '.join(declared)}"
            self._reader.refuse(spot, reason=reason)
            return None
        return OutboundSpec(self._namespace, name, declared[number])

    def _ready(self, spot: Spot) -> ReadyCheck | None:
        entries = self._reader.fields(spot, allowed=("tcp", "http", "path"))
        if entries is None:
            return None
        if ("tcp" in entries) == ("http" in entries):
            self._reader.refuse(spot, reason="needs either tcp: PORT or http: PORT")
            return None
        if "tcp" in entries:
            if "path" in entries:
                self._reader.refuse(entries["path"], reason="belongs to http only")
            port = self._port_number(entries["tcp"])
            return ReadyCheck("tcp", port) if port else None
        port = self._port_number(entries["http"])
        path = self._reader.text(entries["path"]) if "path" in entries else "/"
        if path is not None and not re.match(r"/[!-~]*\Z", path):
            self._reader.refuse(entries["path"], reason="must begin with / and have no spaces")
            return None
        return ReadyCheck("http", port, path) if port and path else None
