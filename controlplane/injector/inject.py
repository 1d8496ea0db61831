"""Workloads with a proxy: what is added to an object, by its annotations, its namespace's, and the values of
the control plane. Nothing is asked of anybody, and nothing is changed but what comes out.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final, NamedTuple

from linkerd2_py.charts.evaluate import ValuesError, evaluate, roots
from linkerd2_py.charts.paths import look_up, put
from linkerd2_py.charts.pod.before import init, validator
from linkerd2_py.charts.pod.debug import debug_sidecar
from linkerd2_py.charts.pod.kinds import Meshed
from linkerd2_py.charts.pod.proxy import proxy
from linkerd2_py.charts.pod.volumes import volumes
from linkerd2_py.controlplane.injector import names
from linkerd2_py.controlplane.injector.overrides import (
    INHERITED,
    Values,
    add_env,
    describe,
    is_true,
    lay_over,
)
from linkerd2_py.controlplane.injector.patch import LAST, Json, Operation, Patch
from linkerd2_py.controlplane.injector.ports import (
    HIGHEST,
    declared_ports,
    default_opaque,
    inbound_ports,
    named_ports,
)
from linkerd2_py.controlplane.injector.report import Report, report_on
from linkerd2_py.controlplane.injector.workload import (
    Workload,
    read_workload,
    service_account_mount,
)
from linkerd2_py.controlplane.policy.admission.fields import Field, RefusedError

_POD: Final = Meshed()
_NEEDED: Final = frozenset(("NET_ADMIN", "NET_RAW"))
"""What the init container cannot do without."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """A control plane, whose `values` hold for all whom no annotation says anything else to."""

    values: Values
    namespace: str = "linkerd"
    created_by: str = ""

    @property
    def projects_token(self) -> bool:
        """Whether proxies have a token of their own."""
        return look_up(self.values, "identity.serviceAccountTokenProjection") is not False

    @property
    def opaque_ports(self) -> str:
        """Those that are, where nobody says anything."""
        return str(look_up(self.values, "proxy.opaquePorts", ""))


class Owner(NamedTuple):
    """Who made a pod in the end."""

    kind: str
    """In lower case; `pod` for one that nobody made."""
    name: str


@dataclass(frozen=True, slots=True)
class Injection:
    """What becomes of an object: as it is then, and the JSON patch that makes it so. `problems` are
    annotations that could not be read, and changed nothing.
    """

    report: Report
    found: Json
    patch: list[Operation] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def admit(
    found: Json,
    mesh: Mesh,
    *,
    kind: str = "",
    namespace: str,
    annotations: Mapping[str, str],
    owner: Owner,
) -> Injection:
    """A pod or service that is about to be made in a `namespace` that has these annotations.

    RefusedError if nothing sound can come of it.
    """
    workload = read_workload(found, kind=kind)
    report = report_on(workload, namespace=annotations, projects_token=mesh.projects_token)
    if not report.is_injectable:
        return _with_opaque_ports(workload, mesh, report=report, annotations=annotations)
    own = workload.annotations
    added = {names.CREATED_BY: mesh.created_by}
    added |= {name: annotations[name] for name in INHERITED & annotations.keys() - own.keys()}
    if names.OPAQUE_PORTS not in {**own, **added}:
        opaque = _declared_opaque(workload, mesh)
        added |= {names.OPAQUE_PORTS: opaque} if opaque else {}
    labels = {names.WORKLOAD_NS: namespace, **_owner_label(owner)}
    env = annotations.get(names.ADDITIONAL_ENV), own.get(names.ADDITIONAL_ENV)
    return _injected(workload, mesh, report=report, annotations=added, labels=labels, env=env)


def inject_manifest(workload: Workload, mesh: Mesh, *, annotations: Mapping[str, str]) -> Injection:
    """A workload of a manifest, with everything that a proxy needs, and `annotations` of the command's.

    RefusedError if nothing sound can come of it.
    """
    report = report_on(workload, namespace=None, projects_token=mesh.projects_token)
    owner = Owner(workload.kind, workload.name)
    labels = {names.WORKLOAD_NS: workload.namespace}
    if workload.path:
        labels |= _owner_label(owner)
    env = (workload.metadata if workload.path else workload.pod["metadata"])["annotations"]
    added = {**annotations, names.CREATED_BY: mesh.created_by}
    layers = (env[names.ADDITIONAL_ENV].text() if env.is_said else None,)
    return _injected(workload, mesh, report=report, annotations=added, labels=labels, env=layers)


def annotate(workload: Workload, annotations: dict[str, str]) -> Json:
    """A namespace, a service, or the pods of a workload with more annotations."""
    patch = Patch(workload.found, below=workload.path or ())
    _check_metadata(workload)
    patch.need("metadata", empty={})
    patch.add_all("metadata", "annotations", values=annotations)
    return patch.result


def _injected(
    workload: Workload,
    mesh: Mesh,
    *,
    report: Report,
    annotations: dict[str, str],
    labels: dict[str, str],
    env: Iterable[str | None],
) -> Injection:
    said = {**workload.annotations, **annotations}
    values = copy.deepcopy(mesh.values)
    problems = lay_over(values, said, named_ports=named_ports(workload.spec))
    problems += add_env(values, *env)
    describe(values, said, workload.labels)
    _fit(values, workload)
    wants_debug = _wants_debug(said, problems)
    _check(values, wants_debug=wants_debug)
    known = roots(values, namespace=mesh.namespace)
    _check_metadata(workload)
    patch = Patch(workload.found, below=workload.path or ())
    patch.need("metadata", empty={})
    marks = _marks(values)
    patch.add_all("metadata", "annotations", values={**annotations, **marks})
    patch.add_all("metadata", "labels", values={names.CONTROL_PLANE_NS: mesh.namespace, **labels})
    try:
        _add_containers(patch, workload, values=values, known=known, wants_debug=wants_debug)
    except (ValuesError, TypeError, ValueError) as error:
        raise RefusedError(f"the values of the control plane: {error}") from error
    return Injection(report, patch.result, patch.operations, list(dict.fromkeys(problems)))


def _add_containers(
    patch: Patch, workload: Workload, *, values: Values, known: Any, wants_debug: bool
) -> None:
    spec = workload.spec
    for where in ("volumes", "initContainers"):
        # RefusedError for what is no list.
        if not len(spec[where]):
            patch.add("spec", where, value=[])
    for volume in evaluate(volumes(), known):
        patch.add("spec", "volumes", LAST, value=volume)
    native = bool(look_up(values, "proxy.nativeSidecar"))
    first = validator(_POD) if look_up(values, "cniEnabled") else init(_POD)
    # Where the proxy is one of them, it comes before all others, which then have a network.
    patch.add("spec", "initContainers", "0" if native else LAST, value=evaluate(first, known))
    if wants_debug:
        patch.add("spec", "containers", LAST, value=evaluate(debug_sidecar(), known))
    where, place = ("initContainers", "1") if native else ("containers", LAST)
    if not native and look_up(values, "proxy.await"):
        # Kubernetes starts the next one when the first one's hook is done.
        place = "0"
    patch.add("spec", where, place, value=evaluate(proxy(_POD), known))


def _fit(values: Values, workload: Workload) -> None:
    """What the proxy takes over from the containers beside it."""
    if not look_up(values, "proxy.podInboundPorts"):
        put(values, "proxy.podInboundPorts", inbound_ports(workload.spec))
    mount = service_account_mount(workload.spec)
    if mount:
        put(values, "proxy.saMountPath", mount)
        put(values, "proxyInit.saMountPath", mount)
    for container in workload.spec["containers"]:
        held = container["securityContext"]["capabilities"]
        if held.is_said:
            add, drop = (_words(held[name]) for name in ("add", "drop"))
            put(values, "proxy.capabilities", {"add": add, "drop": drop})
            kept = [one for one in drop if one not in _NEEDED]
            put(values, "proxyInit.capabilities", {"add": add, "drop": kept})
        break


def _words(field: Field) -> list[str]:
    return [one.text() for one in field]


def _wants_debug(annotations: Mapping[str, str], problems: list[str]) -> bool:
    try:
        return is_true(annotations.get(names.DEBUG_SIDECAR) or "false")
    except ValueError as error:
        problems.append(f"{names.DEBUG_SIDECAR}: {error}")
        return False


def _check(values: Values, *, wants_debug: bool) -> None:
    """RefusedError for values that no proxy can start with."""
    for network in str(look_up(values, "clusterNetworks", "")).strip(",").split(","):
        try:
            ip_network(network, strict=False) if network else None
        except ValueError as error:
            raise RefusedError(f"cannot parse destination get networks: {error}") from error
    if look_up(values, "proxy.logHTTPHeaders", "") not in ("insecure", "off", ""):
        raise RefusedError("logHTTPHeaders must be one of: insecure | off")
    closes = look_up(values, "proxyInit.closeWaitTimeoutSecs", 0)
    if closes and not look_up(values, "proxyInit.runAsRoot"):
        raise RefusedError("proxyInit.runAsRoot must be set to use proxyInit.closeWaitTimeoutSecs")
    if wants_debug and not look_up(values, "debugContainer.image.name"):
        raise RefusedError(
            f"{names.DEBUG_SIDECAR}: there is no image for it: set debugContainer.image.name, or the"
            f" annotation {names.CONFIG}debug-image"
        )
    if not str(look_up(values, "identityTrustAnchorsPEM", "")).strip():
        raise RefusedError("Please provide the identity trust anchors")


def _marks(values: Values) -> dict[str, str]:
    """By which it is seen later what the pod was injected with."""
    version = look_up(values, "proxy.image.version") or look_up(values, "linkerdVersion", "")
    anchors = str(look_up(values, "identityTrustAnchorsPEM", ""))
    return {
        names.PROXY_VERSION: str(version),
        names.TRUST_ROOT_SHA: hashlib.sha256(anchors.encode()).hexdigest(),
    }


def _owner_label(owner: Owner) -> dict[str, str]:
    if owner.kind not in names.OWNING_KINDS:
        return {}
    return {f"{names.PROXY_OF}{owner.kind}": owner.name}


def _with_opaque_ports(
    workload: Workload, mesh: Mesh, *, report: Report, annotations: Mapping[str, str]
) -> Injection:
    """A pod without a proxy, or a service, tells those who call it which of its ports are opaque."""
    has_pods = workload.path is not None
    if not (has_pods or workload.is_service) or names.OPAQUE_PORTS in workload.annotations:
        return Injection(report, workload.found)
    listing = annotations.get(names.OPAQUE_PORTS)
    if listing is None:
        listing = _declared_opaque(workload, mesh)
        if not listing:
            return Injection(report, workload.found)
    _check_metadata(workload)
    patch = Patch(workload.found, below=workload.path or ())
    patch.need("metadata", empty={})
    patch.add_all("metadata", "annotations", values={names.OPAQUE_PORTS: listing})
    return Injection(report.as_annotated(), patch.result, patch.operations)


def _declared_opaque(workload: Workload, mesh: Mesh) -> str:
    if workload.path is not None:
        declared = (
            one["containerPort"].number(0, HIGHEST) or 0 for one in declared_ports(workload.spec)
        )
        return default_opaque(declared, mesh.opaque_ports)
    return ",".join(_opaque_of_service(Field(workload.found)["spec"], mesh.opaque_ports))


def _opaque_of_service(spec: Field, defaults: str) -> Iterable[str]:
    """Ports that lead to a default opaque one: by number, for whom a name leads to is not known here."""
    opaque = frozenset(defaults.split(","))
    for one in spec["ports"]:
        port = str(one["port"].number(0, HIGHEST) or 0)
        target = one["targetPort"]
        if not isinstance(target.value, str) and str(target.value or port) in opaque:
            yield port


def _check_metadata(workload: Workload) -> None:
    """RefusedError where what is added would replace something else."""
    metadata = workload.metadata if workload.path is None else workload.pod["metadata"]
    for where in ("annotations", "labels"):
        if metadata[where].is_said:
            metadata[where].mapping()
