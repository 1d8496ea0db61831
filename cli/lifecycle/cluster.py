"""What is asked of a cluster before something is written for it: is it there, is it new enough, may we."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.objects import find, kinds_of
from linkerd2_py.cli.program import shown_program

if TYPE_CHECKING:
    from linkerd2_py.controlplane.kubernetes_api import Json
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

_ESTABLISHED_S: Final = 15.0
"""A cluster serves a kind some seconds after its definition came, longer where it had one of that name."""
_PAUSE_S: Final = 0.2
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def check_kinds(api: ApiServer, *, command: str) -> None:
    """CliError where kinds of a mesh are not known. Those that were applied a moment ago are waited for."""
    deadline = time.monotonic() + _ESTABLISHED_S
    missing = await _not_served(api)
    while missing and time.monotonic() < deadline and await _is_there(api, next(iter(missing))):
        await asyncio.sleep(_PAUSE_S)
        missing = await _not_served(api)
    if missing:
        raise CliError(
            f"Linkerd CRDs must be installed first. Run {shown_program()} {command} with the --crds flag"
            f" (missing: {', '.join(sorted(missing.values()))})"
        )


async def _not_served(api: ApiServer) -> dict[str, str]:
    """The kinds of a mesh that the cluster cannot make objects of now, by the names of what defines them."""
    from linkerd2_py.charts.render import render_crds

    wanted = {
        str(one["metadata"]["name"]): (str(one["spec"]["group"]), str(one["spec"]["names"]["kind"]))
        for one in render_crds()
    }
    groups = {group for group, _ in wanted.values()}
    served = {(kind.group, kind.name) for kind in await kinds_of(api, groups)}
    return {name: kind[1] for name, kind in wanted.items() if kind not in served}


async def _is_there(api: ApiServer, name: str) -> bool:
    """The definition was applied, and is not going; False where one may not look."""
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    try:
        found = await find(api, path)
    except ApiError:
        return False
    return found is not None and "deletionTimestamp" not in found["metadata"]


async def check_rights(api: ApiServer, objects: Iterable[Json]) -> None:
    """CliError that lists the kinds which this person may not create."""
    groups: dict[tuple[str, str], str] = {}
    for one in objects:
        group, _, _ = str(one["apiVersion"]).rpartition("/")
        groups[(group, str(one["kind"]))] = str(one["metadata"].get("namespace") or "")
    known = {(kind.group, kind.name): kind for kind in await kinds_of(api, {g for g, _ in groups})}
    unknown = sorted(name for group, name in groups if (group, name) not in known)
    if unknown:
        raise CliError(f"the cluster does not know these kinds: {', '.join(unknown)}")

    async def may(group: str, plural: str, namespace: str) -> bool:
        attributes: dict[str, Any] = {"group": group, "resource": plural, "verb": "create"}
        asked = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**attributes, "namespace": namespace}},
        }
        found = await api.create(_REVIEWS, asked)
        return bool((found.get("status") or {}).get("allowed"))

    wanted = [(known[key], namespace) for key, namespace in groups.items()]
    allowed = await asyncio.gather(*(may(kind.group, kind.plural, ns) for kind, ns in wanted))
    refused = sorted(
        kind.plural for (kind, _), good in zip(wanted, allowed, strict=True) if not good
    )
    if refused:
        raise CliError(
            f"you may not create {', '.join(refused)}: ask who runs the cluster;"
            f" `{shown_program()} check --pre` lists what is needed"
        )


async def api_server_ports(api: ApiServer) -> str:
    """The ports of the API server, where the control plane goes without its proxy; none where nobody says."""
    service = await find(api, "/api/v1/namespaces/default/services/kubernetes")
    ports: list[str] = []
    for port in ((service or {}).get("spec") or {}).get("ports") or ():
        ports += [
            str(one) for one in (port.get("port"), port.get("targetPort")) if isinstance(one, int)
        ]
    return ",".join(dict.fromkeys(ports))
