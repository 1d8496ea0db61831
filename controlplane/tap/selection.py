"""Whose traffic a request is about: pods of the mesh, by what they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from linkerd2_py.base.selectors import parse_selector
from linkerd2_py.controlplane.mesh.objects import Key, Pod, WorkloadKey
from linkerd2_py.controlplane.mesh.pod_labels import TEMPLATE_HASH
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.tap.refusals import BadRequestError, NotFoundError
from linkerd2_py.controlplane.tap.request import TapRequest

_NAMED_MOST: Final = 5
_JOB_LABELS: Final = ("batch.kubernetes.io/job-name", "job-name")


class Selected(NamedTuple):
    """Pods that can be watched, and those of the others that have a proxy."""

    watched: tuple[Pod, ...]
    silent: tuple[Pod, ...]


def select(request: TapRequest, mesh: Mesh) -> Selected:
    """Those that are meant now. BadRequestError for a selector of labels that is none."""
    fits = _fits(request.label_selector)
    meant = [pod for pod in _meant(request, mesh) if pod.meshed and fits(pod)]
    running = [pod for pod in meant if pod.status in {"Running", "Terminating"}]
    return Selected(
        tuple(pod for pod in running if pod.tap_addr),
        tuple(pod for pod in running if not pod.tap_addr),
    )


def refuse_nothing(request: TapRequest, selected: Selected, mesh: Mesh) -> None:
    """NotFoundError where nobody can be watched: there is no such thing, or its proxies do not tell."""
    if selected.watched:
        return
    what = f'type="{request.kind}"' + (f' name="{request.name}"' if request.name else "")
    if request.namespace and request.kind is not Kind.NAMESPACE:
        what += f' namespace="{request.namespace}"'
    if selected.silent:
        names = ", ".join(pod.name for pod in selected.silent[:_NAMED_MOST])
        more = " …" if len(selected.silent) > _NAMED_MOST else ""
        raise NotFoundError(
            f"no pods to tap for {what}: {len(selected.silent)} of them have a proxy that tells nobody"
            f" ({names}{more}); restart these pods to enable tap, unless an annotation disables it"
        )
    if request.name and not _exists(request, mesh):
        raise NotFoundError(f"no pods to tap for {what}: there is no such {request.kind}")
    raise NotFoundError(f"no pods to tap for {what}: none that runs has a proxy")


def _meant(request: TapRequest, mesh: Mesh) -> Iterable[Pod]:
    kind, name, namespace = request.kind, request.name, request.namespace
    if kind is Kind.NAMESPACE:
        return [pod for pod in mesh.pods.values() if name in {"", pod.namespace}]
    if kind is Kind.POD and name and namespace:
        found = mesh.pods.get(Key(namespace, name))
        return [found] if found else []
    if kind not in {Kind.POD, Kind.REPLICASET, Kind.JOB} and name and namespace:
        return mesh.pods_of(WorkloadKey(kind.value, namespace, name))
    return [
        pod
        for pod in mesh.pods.values()
        if namespace in {"", pod.namespace} and _is_one(pod, kind=kind, name=name)
    ]


def _is_one(pod: Pod, *, kind: Kind, name: str) -> bool:
    called = pod.name if kind is Kind.POD else _owner_of(pod, kind=kind)
    return bool(called) and name in {"", called}


def _owner_of(pod: Pod, *, kind: Kind) -> str:
    """What its owner of a kind is called. The mesh keeps the one that a person means: what stands between
    follows from labels.
    """
    owner = pod.owner
    if owner and owner.kind == kind:
        return owner.name
    if kind is Kind.REPLICASET and owner and (revision := pod.labels.get(TEMPLATE_HASH)):
        return f"{owner.name}-{revision}"
    if kind is Kind.JOB:
        return next((pod.labels[label] for label in _JOB_LABELS if label in pod.labels), "")
    return ""


def _exists(request: TapRequest, mesh: Mesh) -> bool:
    if request.kind is Kind.NAMESPACE:
        return request.name in mesh.namespaces
    return any(True for _ in _meant(request, mesh)) or (
        WorkloadKey(request.kind.value, request.namespace, request.name) in mesh.workloads
    )


def _fits(selector: str) -> Callable[[Pod], bool]:
    try:
        wanted = parse_selector(selector)
    except ValueError as error:
        raise BadRequestError(f"label_selector: {error}") from error
    return lambda pod: wanted(pod.labels)
