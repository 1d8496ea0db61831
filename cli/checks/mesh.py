"""The checks of a mesh, by its public API; of one in a cluster, by its API server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkerd2_py import __version__
from linkerd2_py.cli.api import Api
from linkerd2_py.cli.checks.cluster.asked import Asked, Where
from linkerd2_py.cli.checks.cluster.checks import ClusterChecks
from linkerd2_py.cli.checks.cluster.reach import KUBERNETES_API
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import (
    Check,
    NotYetError,
    Outcome,
    Result,
    SkippedError,
    WarnedError,
)
from linkerd2_py.cli.cluster import Cluster
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find.cluster import SERVICE, where
from linkerd2_py.cli.find.public_api import NOT_FOUND, asks_a_cluster, find
from linkerd2_py.cli.options import Globals

API: Final = "linkerd-api"
DATA_PLANE: Final = "linkerd-data-plane"
VERSION: Final = "linkerd-version"
STALE_S: Final = 30.0
"""A proxy that has not been heard of for this long is not being scraped."""
# Longer than the pause before a program that keeps ending is started once more.
LATELY_S: Final = 120.0
_OUTCOMES: Final[Mapping[str, Outcome]] = {"ok": "success", "warning": "warning"}

Pod = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CniPlugin:
    """Where the CNI plugin is, and whether it is there for certain."""

    namespace: str = "linkerd-cni"
    enabled: bool = False


class MeshChecks:
    """All checks of one control plane; keeps the connection that the first ones make.

    One in a cluster is looked at through the API server of that; what its public API says of itself comes
    between. Of others there is nothing but their public API.
    """

    def __init__(self, given: Globals, *, cni: CniPlugin | None = None) -> None:
        plugin = cni or CniPlugin()
        self._given = given
        self._in_cluster = _is_a_cluster(given)
        self._source = ""
        self._api: Api | None = None
        where_to_look = Where(where(given), plugin.namespace, given.namespace or "")
        self._asked = Asked(self._cluster, where=where_to_look)
        self._of_cluster = ClusterChecks(self._asked, cni=plugin.enabled)

    @property
    def in_cluster(self) -> bool:
        """Whether a kubeconfig says which one is meant."""
        return self._in_cluster

    def all(self) -> list[Check]:
        """In the order in which they make sense."""
        if self._in_cluster:
            return [_initialized(self._find), *self._of_cluster.all(self._of_public_api())]
        return [
            *self._reach(),
            Check(API, "control plane checks itself", self._self_check),
            *self._of_pods(),
            Check(VERSION, "control plane and cli versions match", self._server_version),
            Check(VERSION, "data plane and cli versions match", self._proxy_versions),
        ]

    def of_proxies(self) -> list[Check]:
        """Those of the data plane alone."""
        if self._in_cluster:
            return [_initialized(self._find), *self._of_cluster.of_proxies()]
        versions = Check(VERSION, "data plane and cli versions match", self._proxy_versions)
        return [*self._reach(), *self._of_pods(), versions]

    def of_kinds(self) -> list[Check]:
        """Those of what a cluster must know before a mesh is there. CliError without a cluster."""
        self._require_cluster("--crds")
        return [_initialized(self._find), *self._of_cluster.of_kinds()]

    def before_install(self) -> list[Check]:
        """Those of whether a mesh can be installed. CliError without a cluster."""
        self._require_cluster("--pre")
        return [_initialized(self._find), *self._of_cluster.before_install()]

    def extension_names(self) -> list[str]:
        """Of the extensions that are in the cluster; none where it is not known."""
        if not self._in_cluster or self._api is None:
            return []
        try:
            return self._of_cluster.control_plane.extension_names()
        except CliError:
            # A check has said why.
            return []

    def _require_cluster(self, flag: str) -> None:
        if not self._in_cluster:
            raise CliError(f"{flag} is about a cluster, and none is asked here")

    def _of_public_api(self) -> list[Check]:
        """What a control plane in a cluster is asked itself. Linkerd's has nobody to ask."""
        return [
            Check(
                API,
                "can query the control plane API",
                self._query_service,
                hint="see `kubectl get pods` in its namespace; -L says where that is",
            ),
            Check(API, "control plane checks itself", self._self_check_of_service),
        ]

    def _reach(self) -> list[Check]:
        up = "run `linkerd2-py local up`, or give --api-addr"
        return [
            Check(API, "control plane is known", self._find, hint=up, fatal=True),
            Check(
                API,
                "can query the control plane API",
                self._query,
                hint=self._where_it_runs,
                fatal=True,
            ),
        ]

    def _of_pods(self) -> list[Check]:
        return [
            Check(DATA_PLANE, "pods are running", self._running, hint=self._pods_hint),
            Check(DATA_PLANE, "pods are ready", self._ready, hint=self._pods_hint),
            Check(DATA_PLANE, "pods keep running", self._steady, hint=self._pods_hint),
            Check(
                DATA_PLANE,
                "data plane proxies are ready",
                self._proxies_ready,
                hint=self._proxies_hint,
            ),
            Check(DATA_PLANE, "data plane proxy metrics are present", self._reporting),
        ]

    def _where_it_runs(self) -> str:
        if self._given.api_addr:
            return "is it the address of a public API, and does it run there?"
        return "see `linkerd2-py local status` and `linkerd2-py local logs control-plane`"

    def _pods_hint(self) -> str:
        logs = "kubectl describe pod" if self._is_of_cluster else "linkerd2-py local logs POD"
        return f"see `linkerd2-py get pods` and `{logs}`"

    def _proxies_hint(self) -> str:
        if self._is_of_cluster:
            return "see `kubectl logs POD -c linkerd-proxy`"
        return "see `linkerd2-py local logs POD -c proxy`"

    @property
    def _is_of_cluster(self) -> bool:
        """Whether its pods are a cluster's, though it is asked at an address."""
        return self._source == "kubernetes"

    def close(self) -> None:
        if self._api is not None:
            self._api.close()

    def _find(self) -> None:
        control_plane = find(self._given)
        if control_plane is None:
            raise CliError("no local mesh is running, and no --api-addr is given")
        self._api = Api(control_plane, verbose=self._given.verbose)

    def _query(self) -> None:
        try:
            self._source = str(self._connected().get("/version").get("source") or "unknown")
        except CliError as error:
            raise NotYetError(str(error)) from error

    def _query_service(self) -> None:
        if not self._has_public_api():
            raise SkippedError
        self._query()

    def _self_check_of_service(self) -> Sequence[Result]:
        # That it does not answer was said.
        if not self._source:
            raise SkippedError
        return self._self_check()

    def _has_public_api(self) -> bool:
        own = self._asked.where.control_plane
        return self._asked.find(f"/api/v1/namespaces/{own}/services/{SERVICE}") is not None

    def _self_check(self) -> Sequence[Result]:
        results = [
            Result(
                result["category"],
                result["description"],
                _OUTCOMES.get(result["status"], "error"),
                result.get("message") or "",
                result.get("hint") or "",
            )
            for result in self._connected().get("/self-check")["results"]
        ]
        # One that has just started does not have everything at once.
        for result in results:
            if result.outcome == "error":
                raise NotYetError(f"{result.description}: {result.message}", results)
        return results

    def _running(self) -> None:
        pods = self._pods()
        if not pods and self._is_of_cluster:
            raise WarnedError("no pod is meshed")
        if not pods:
            raise NotYetError("there are no pods")
        self._require([p for p in pods if p["status"] == "Running"], of=pods, what="not running")

    def _ready(self) -> None:
        pods = self._pods()
        self._require([pod for pod in pods if pod["ready"]], of=pods, what="not ready")

    def _steady(self) -> None:
        """A program without a port is ready whenever it runs, so what keeps ending may look well."""
        pods = self._pods()
        again = [_shown(pod, why="last_exit") for pod in pods if _restarted_lately(pod)]
        if again:
            text = f"{len(again)} of {len(pods)} pods started again lately: {', '.join(again)}"
            raise WarnedError(text)

    def _proxies_ready(self) -> None:
        meshed = self._meshed()
        if not meshed:
            raise WarnedError("no pod is meshed")
        self._require([p for p in meshed if p["proxy_ready"]], of=meshed, what="not ready")

    def _reporting(self) -> None:
        meshed = self._meshed()
        fresh = [pod for pod in meshed if _reports(pod)]
        self._require(fresh, of=meshed, what="without metrics")

    def _server_version(self) -> None:
        server = self._connected().get("/version").get("version")
        if server != __version__:
            raise WarnedError(
                f"the control plane is version {server}, this command is {__version__}"
            )

    def _proxy_versions(self) -> None:
        other = {str(pod["proxy_version"]) for pod in self._meshed()} - {__version__, "", "None"}
        if other:
            versions = ", ".join(sorted(other))
            raise WarnedError(
                f"there are proxies of version {versions}, this command is {__version__}"
            )

    def _require(self, good: Sequence[Pod], *, of: Sequence[Pod], what: str) -> None:
        bad = [_shown(pod) for pod in of if pod not in good]
        if bad:
            raise NotYetError(f"{len(bad)} of {len(of)} pods {what}: {', '.join(bad)}")

    def _meshed(self) -> list[Pod]:
        return [pod for pod in self._pods() if pod["meshed"]]

    def _pods(self) -> list[Pod]:
        """In a cluster, those of others are none of our business."""
        namespace = self._given.namespace or ""
        pods: list[Pod] = self._connected().get("/pods", namespace=namespace)["pods"]
        return [pod for pod in pods if pod["meshed"] or not self._is_of_cluster]

    def _cluster(self) -> Cluster:
        cluster = self._connected().control_plane.cluster
        if cluster is None:
            raise CliError(NOT_FOUND)
        return cluster

    def _connected(self) -> Api:
        if self._api is None:
            raise CliError(NOT_FOUND)
        return self._api


def _initialized(find_it: Callable[[], None]) -> Check:
    return Check(
        KUBERNETES_API,
        "can initialize the client",
        find_it,
        hint=linkerd("k8s-api"),
        fatal=True,
    )


def _is_a_cluster(given: Globals) -> bool:
    try:
        return asks_a_cluster(given)
    except CliError:
        # The first check says why.
        return False


def _shown(pod: Pod, *, why: str = "problem") -> str:
    """With the reason, where one is known."""
    name = f"{pod['namespace']}/{pod['name']}"
    return f"{name} ({pod[why]})" if pod[why] else name


def _restarted_lately(pod: Pod) -> bool:
    ago = pod["since_last_exit_s"]
    return ago is not None and float(ago) < LATELY_S


def _reports(pod: Pod) -> bool:
    age = pod["since_last_report_s"]
    return age is not None and float(age) < STALE_S
