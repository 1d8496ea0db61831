"""What checks ask of the API server of a cluster. Every failure is a line of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py.cli.cluster import Cluster
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.objects import ask, listed

if TYPE_CHECKING:
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

CONFIG_MAP: Final = "linkerd-config"
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
_TIMEOUT_S: Final = 10.0
_SHOWN: Final = 10

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Where:
    """The namespaces of the control plane, of the CNI plugin, and of the data plane (empty: all)."""

    control_plane: str
    cni: str
    data_plane: str = ""


class Asked:
    """Questions to the cluster that `cluster` gives. CliError where there is no answer."""

    def __init__(
        self, cluster: Callable[[], Cluster], *, where: Where, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s
        self.where = where

    def find(self, path: str) -> Object | None:
        """The object at `path`, None where there is no such thing."""
        return self._ask(path)

    def get(self, path: str, *, what: str = "") -> Object:
        """The object at `path`; `what` is how a line calls one that is missing."""
        found = self.find(path)
        if found is None:
            raise CliError(f"there is no {what or path.rpartition('/')[2]}")
        return found

    def listed(self, path: str, *, labels: str = "") -> list[Object]:
        """All objects of a kind, or those with labels; none where the kind is not known."""
        cluster = self._cluster()
        return ask(cluster, _all(cluster.api, path, {"labelSelector": labels} if labels else {}))

    def may(self, verb: str, resource: str, *, group: str = "", namespace: str = "") -> str:
        """Why whoever asks may not do that, as the API server says it; nothing if they may."""
        asked = {"verb": verb, "resource": resource, "group": group, "namespace": namespace}
        answer = self._create(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": asked},
            },
        )
        status = answer.get("status") or {}
        if status.get("allowed") is True:
            return ""
        reason = str(status.get("reason") or "")
        full = f"{resource}.{group}" if group else resource
        return f"not authorized to {verb} {full}" + (f": {reason}" if reason else "")

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """What the control plane was installed with. CliError where nobody has written it down."""
        path = f"/api/v1/namespaces/{self.where.control_plane}/configmaps/{CONFIG_MAP}"
        data = self.get(path, what=f'ConfigMap "{CONFIG_MAP}"').get("data")
        text = data.get("values") if isinstance(data, dict) else None
        return _read_values(text if isinstance(text, str) else "")

    def _ask(self, path: str) -> Object | None:
        from linkerd2_py.controlplane.kubernetes_api import ApiError

        try:
            return self._cluster().get(path, {}, timeout_s=self._timeout_s)
        except ApiError as error:
            if error.status == 404:
                return None
            raise self._refusal(error) from error

    def _create(self, path: str, body: Object) -> Object:
        from linkerd2_py.controlplane.kubernetes_api import ApiError

        try:
            return self._cluster().create(path, body, timeout_s=self._timeout_s)
        except ApiError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> CliError:
        return CliError(f"{self._cluster().address}: {error}")


async def _all(api: ApiServer, path: str, query: Mapping[str, str]) -> list[Object]:
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    try:
        return [one async for one in listed(api, path, query)]
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return []
        raise


def _read_values(text: str) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise CliError(f'the values in ConfigMap "{CONFIG_MAP}" are no YAML: {error}') from error
    if not isinstance(found, dict):
        raise CliError(f'ConfigMap "{CONFIG_MAP}" has no values')
    # Before 2.10 some of them were below `global`.
    older = found.get("global")
    return {**older, **found} if isinstance(older, dict) else found


def bullets(lines: Iterable[str]) -> str:
    """One line each, below the line that says what they are; not more than a screen takes."""
    found = list(lines)
    more = [f"… and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "".join(f"\n* {line}" for line in [*found[:_SHOWN], *more])
