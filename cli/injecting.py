"""What `inject` does with each object of a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from linkerd2_py import __version__
from linkerd2_py.base.logs import printable
from linkerd2_py.charts.evaluate import ValuesError
from linkerd2_py.charts.values import defaults, laid_over, read
from linkerd2_py.cli import inject_flags
from linkerd2_py.cli.commands.uninject import without_proxy
from linkerd2_py.cli.durations import parse_duration as parse_flag
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find import cluster as found
from linkerd2_py.cli.options import Globals
from linkerd2_py.controlplane.injector import names
from linkerd2_py.controlplane.injector.inject import Mesh, annotate, inject_manifest
from linkerd2_py.controlplane.injector.overrides import Values
from linkerd2_py.controlplane.injector.report import Report, report_on
from linkerd2_py.controlplane.injector.workload import Workload, read_workload
from linkerd2_py.controlplane.policy.admission.fields import RefusedError

CREATED_BY: Final = f"linkerd2-py/cli {__version__}"
_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says."""

    manual: bool = False
    ignore_cluster: bool = False
    anchors: Path | None = None
    debug: bool = False
    close_wait: str = ""
    registry: str | None = None
    ingress: bool = False
    flags: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Injecting:
    """Changes objects, one after the other."""

    mesh: Mesh
    annotations: dict[str, str]
    """Of all that can have them: what is to be other than the values."""
    of_pods: dict[str, str] = field(default_factory=dict)
    """Of pods alone."""
    manual: bool = False
    problems: list[str] = field(default_factory=list)

    def __call__(self, value: Any) -> tuple[Any, Report]:
        """See `rewrite.Change`. What was injected before is injected anew."""
        value, _ = without_proxy(value)
        workload = read_workload(value)
        report = report_on(workload, namespace=None, projects_token=self.mesh.projects_token)
        if workload.is_of_control_plane and not self.manual:
            raise RefusedError("--manual must be set when injecting control plane components")
        if workload.is_namespace:
            said = {names.INJECT: names.ENABLED, **self.annotations}
            return annotate(workload, said), report.as_annotated()
        if workload.is_service:
            return self._service(workload, report)
        return self._workload(workload, report) if workload.path is not None else (value, report)

    def _service(self, workload: Workload, report: Report) -> tuple[Any, Report]:
        ports = self.annotations.get(names.OPAQUE_PORTS)
        if ports is None:
            return workload.found, report
        return annotate(workload, {names.OPAQUE_PORTS: ports}), report.as_annotated()

    def _workload(self, workload: Workload, report: Report) -> tuple[Any, Report]:
        if self.annotations:
            report = report.as_annotated()
        if not report.is_injectable:
            if report.faults:
                reasons = ", ".join(report.faults)
                raise RefusedError(f"failed to inject {printable(report.resource)}: {reasons}")
            return workload.found, report
        said = {**self.of_pods, **self.annotations}
        if not self.manual:
            return annotate(workload, {names.INJECT: names.ENABLED, **said}), report
        said.pop(names.INJECT, None)
        try:
            result = inject_manifest(workload, self.mesh, annotations=said)
        except RefusedError as error:
            words = f"failed to inject {printable(report.resource)}: {error}"
            raise RefusedError(words) from error
        self.problems += [f"{report.resource}: {one}" for one in result.problems]
        return result.found, report


def injecting(wanted: Wanted, given: Globals) -> Injecting:
    """By the cluster's values, where they matter. CliError for what cannot be."""
    values = _values(wanted, given)
    annotations = {
        **inject_flags.images_from(wanted.registry, values),
        **inject_flags.annotations_for(wanted.flags, values, ingress=wanted.ingress),
    }
    of_pods = {names.DEBUG_SIDECAR: "true"} if wanted.debug else {}
    if wanted.close_wait:
        parse_flag(wanted.close_wait, flag="--close-wait-timeout")
        of_pods[names.CLOSE_WAIT] = wanted.close_wait
    if wanted.ingress:
        values = laid_over(values, {"proxy": {"isIngress": True}})
    mesh = Mesh(values, namespace=found.where(given), created_by=CREATED_BY)
    return Injecting(mesh, annotations, of_pods, manual=wanted.manual)


def _values(wanted: Wanted, given: Globals) -> Values:
    """Who only annotates, and configures nothing, needs none of the cluster's."""
    needs_cluster = bool(wanted.manual or wanted.flags or wanted.registry or wanted.ingress)
    values = defaults() if wanted.ignore_cluster or not needs_cluster else _of_cluster(given)
    if wanted.anchors:
        try:
            text = wanted.anchors.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise CliError(f"--identity-trust-anchors-file: {error}") from error
        values = laid_over(values, {"identityTrustAnchorsPEM": text})
    if wanted.manual and not str(values.get("identityTrustAnchorsPEM") or "").strip():
        raise CliError(
            "--manual: there are no trust anchors to write into pods: --identity-trust-anchors-file FILE has"
            " some, or a cluster with a control plane"
        )
    return values


def _of_cluster(given: Globals) -> Values:
    """The values that the control plane was installed with, and the anchors that it trusts now."""
    from linkerd2_py.cli.cluster import Cluster

    path = found.kubeconfig(given)
    if path is None and not found.is_spoken_of(given):
        raise CliError(
            "no cluster is known: name it by --kubeconfig, or go by the defaults with --ignore-cluster"
        )
    cluster = Cluster(path, given)
    try:
        config = _config_map(cluster, given, "linkerd-config", "values")
        anchors = _config_map(cluster, given, "linkerd-identity-trust-roots", "ca-bundle.crt")
    finally:
        cluster.close()
    if not config:
        raise CliError(
            f"there is no control plane in namespace {found.where(given)} (no ConfigMap linkerd-config):"
            " install one, or go by the defaults with --ignore-cluster"
        )
    try:
        values = laid_over(defaults(), read(config, name="ConfigMap linkerd-config"))
    except ValuesError as error:
        raise CliError(str(error)) from error
    return laid_over(values, {"identityTrustAnchorsPEM": anchors}) if anchors else values


def _config_map(cluster: Any, given: Globals, name: str, key: str) -> str:
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    path = f"/api/v1/namespaces/{found.where(given)}/configmaps/{name}"
    try:
        data = cluster.get(path, {}, timeout_s=_LIMIT_S).get("data")
    except ApiError as error:
        if error.status == 404:
            return ""
        raise CliError(f"ConfigMap {name}: {error}") from error
    text = data.get(key) if isinstance(data, dict) else None
    return text if isinstance(text, str) else ""
