"""Objects of a cluster as a command reads them: found or not, listed to the end, of all kinds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from linkerd2_py.cli.errors import CliError

if TYPE_CHECKING:
    from linkerd2_py.cli.cluster import Cluster
    from linkerd2_py.cli.options import Globals
    from linkerd2_py.controlplane.kubernetes_api import Json
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

OF_MESH: Final = "linkerd.io/control-plane-ns"
"""The label of everything that belongs to a control plane; its value is where that is."""
_PAGE: Final = "500"
_TRIES: Final = 10
_LONGEST_PAUSE_S: Final = 5.0
_DISCOVERY: Final = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
_NAME: Final = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind that an API server serves, in the version that it prefers."""

    group: str
    version: str
    name: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """As it stands in objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """Of all of them, in all namespaces."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}/{self.plural}"


async def find(api: ApiServer, path: str) -> Json | None:
    """None where there is no such object, or no such kind."""
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    try:
        return await api.get(path, {})
    except ApiError as error:
        if error.status == 404:
            return None
        raise


async def listed(api: ApiServer, path: str, query: Mapping[str, str]) -> AsyncIterator[Json]:
    """Each object of a list, which is asked for in pages that are of one moment."""
    more = ""
    while True:
        page = await _page(
            api, path, {**query, "limit": _PAGE, **({"continue": more} if more else {})}
        )
        for one in page.get("items") or ():
            yield one
        more = str(page.get("metadata", {}).get("continue") or "")
        if not more:
            return


async def _page(api: ApiServer, path: str, query: Mapping[str, str]) -> Json:
    """Asked again for a while where the API server is busy: kinds that are new are made ready first."""
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    tries = 0
    while True:
        tries += 1
        try:
            return await api.get(path, query)
        except ApiError as error:
            if error.status != HTTPStatus.TOO_MANY_REQUESTS or tries == _TRIES:
                raise
            await asyncio.sleep(min(error.retry_after_s or 1.0, _LONGEST_PAUSE_S))


async def kinds_of(api: ApiServer, groups: Collection[str]) -> list[Kind]:
    """The kinds of these groups that can be listed and deleted, in the order of their names."""
    found = [
        kind
        for root in ("/api", "/apis")
        for group in (await api.get(root, {}, accept=_DISCOVERY)).get("items", ())
        if str(group["metadata"].get("name", "")) in groups
        for kind in _kinds(group)
    ]
    return sorted(found, key=lambda kind: (kind.group, kind.name))


def _kinds(group: Json) -> list[Kind]:
    """Of each kind the version that comes first is preferred."""
    found: dict[str, Kind] = {}
    for version in group.get("versions", ()):
        for one in version.get("resources", ()):
            plural = str(one["resource"])
            if {"list", "delete"} <= set(one.get("verbs", ())) and plural not in found:
                found[plural] = Kind(
                    str(group["metadata"].get("name", "")),
                    str(version["version"]),
                    str(one["responseKind"]["kind"]),
                    plural,
                    one.get("scope") == "Namespaced",
                )
    return list(found.values())


def ask(cluster: Cluster, asked: Coroutine[Any, Any, _T]) -> _T:
    """What comes of questions to the cluster; CliError with what it says where it refuses one."""
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    try:
        return cluster.run(asked)
    except ApiError as error:
        if not error.status:
            raise CliError(f"cannot reach the API server: {error}") from error
        raise CliError(f"{cluster.address}: {error}") from error


def reference(found: Json) -> str:
    """An object, for a person: `ConfigMap/linkerd-config`, with its namespace where it has one."""
    about = found.get("metadata", {})
    where = f" in {about['namespace']}" if about.get("namespace") else ""
    return f"{found.get('kind')}/{about.get('name')}{where}"


def checked_namespace(name: str) -> str:
    """One that can stand in a path. CliError."""
    if len(name) > 63 or not _NAME.fullmatch(name) or "." in name:
        raise CliError(
            f"{name!r} is not a namespace: use lower-case letters, digits and -, at most 63"
        )
    return name


@contextmanager
def opened(given: Globals) -> Iterator[Cluster]:
    """The cluster that is meant. CliError where none is, or it cannot be used."""
    from linkerd2_py.cli.cluster import Cluster
    from linkerd2_py.cli.find.cluster import in_pod, kubeconfig

    path = kubeconfig(given)
    if path is None and not in_pod():
        raise CliError(
            "no cluster is known: neither --kubeconfig nor $KUBECONFIG nor ~/.kube/config says where one is"
        )
    with closing(Cluster(path, given)) as found:
        yield found
