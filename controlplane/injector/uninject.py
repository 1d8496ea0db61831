"""Workloads as they were before they were injected."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from linkerd2_py.controlplane.injector import names
from linkerd2_py.controlplane.injector.workload import Json, Workload

_CONTAINERS: Final = frozenset(
    (
        *(names.PROXY_CONTAINER, names.INIT_CONTAINER),
        *(names.VALIDATOR_CONTAINER, names.DEBUG_CONTAINER),
    )
)
_PROXIES: Final = frozenset((names.PROXY_CONTAINER, names.INIT_CONTAINER))


class Uninjected(NamedTuple):
    """The object, and whether anything of an injection was found in it."""

    found: Json
    is_changed: bool


def uninject(workload: Workload) -> Uninjected:
    """Takes away the containers and volumes of proxies, and what annotations and labels say of them.

    `linkerd.io/inject: disabled` stays: somebody meant it.
    """
    found = workload.found
    if workload.path is None and not (workload.is_service or workload.is_namespace):
        return Uninjected(found, is_changed=False)
    result = _without_metadata(found)
    if workload.path is not None:
        result = _changed(result, workload.path)
    return Uninjected(result, is_changed=result != found)


def _changed(found: Any, path: tuple[str, ...]) -> Any:
    """A copy with its pods changed, where `path` leads to them."""
    if path:
        step, *rest = path
        return {**found, step: _changed(found[step], tuple(rest))}
    pod = dict(_without_metadata(found))
    if found.get("metadata") and not pod["metadata"]:
        del pod["metadata"]
    spec = dict(pod["spec"])
    is_injected = any(
        _name(container) in _PROXIES
        for where in ("initContainers", "containers")
        for container in _items(spec.get(where))
    )
    taken = _CONTAINERS if is_injected else _PROXIES
    for where, gone in (
        ("initContainers", taken),
        ("containers", taken),
        ("volumes", names.VOLUMES),
    ):
        _drop(spec, where, gone)
    return {**pod, "spec": spec}


def _drop(spec: Json, where: str, gone: frozenset[str]) -> None:
    held = spec.get(where)
    if not isinstance(held, list):
        return
    kept = [one for one in held if _name(one) not in gone]
    if len(kept) == len(held):
        return
    if kept:
        spec[where] = kept
    else:
        del spec[where]


def _without_metadata(found: Json) -> Json:
    """Nothing is taken from components of a control plane, which are only injected anew."""
    metadata = found.get("metadata")
    if not isinstance(metadata, dict) or names.CONTROL_PLANE_COMPONENT in _mapping(
        metadata.get("labels")
    ):
        return found
    metadata = dict(metadata)
    for where in ("annotations", "labels"):
        held = metadata.get(where)
        if not isinstance(held, dict):
            continue
        kept = {name: value for name, value in held.items() if not _is_ours(name, value, where)}
        if len(kept) == len(held):
            continue
        if kept:
            metadata[where] = kept
        else:
            del metadata[where]
    return {**found, "metadata": metadata}


def _is_ours(name: object, value: object, where: str) -> bool:
    is_meant = where == "annotations" and (name, value) == (names.INJECT, names.DISABLED)
    return isinstance(name, str) and name.startswith(names.PREFIX) and not is_meant


def _mapping(found: object) -> Json:
    return found if isinstance(found, dict) else {}


def _items(found: object) -> list[Any]:
    return found if isinstance(found, list) else []


def _name(found: object) -> str:
    name = found.get("name") if isinstance(found, dict) else ""
    return name if isinstance(name, str) else ""
