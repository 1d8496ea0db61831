"""What proxies ask, asked by a person: by gRPC, where the proxies of the mesh ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from linkerd2_py.base.names import DEFAULT_NAMESPACE
from linkerd2_py.cli import output
from linkerd2_py.cli.api import check_namespace
from linkerd2_py.cli.cluster import Cluster
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.find.cluster import where
from linkerd2_py.cli.find.control_plane import ControlPlane
from linkerd2_py.cli.find.public_api import NOT_FOUND, find
from linkerd2_py.cli.options import Globals

if TYPE_CHECKING:
    # It takes a tenth of a second, and waits for whoever needs it.
    from grpc.aio import AioRpcError, Channel

DESTINATION_PORT: Final = 8086
POLICY_PORT: Final = 8090
_TIMEOUT_S: Final = 10.0
_COMPONENT: Final = "linkerd.io/control-plane-component=destination"
_T = TypeVar("_T")
Ask = Callable[["Channel"], Awaitable[_T]]


@dataclass(frozen=True, slots=True)
class Said:
    """What options say of where proxies ask: an address, or one of a cluster's pods."""

    addr: str = ""
    pod: str = ""


class ProxyApi:
    """Answers to what is asked in the name of a proxy; `namespace` is the one that is asked about."""

    def __init__(self, given: Globals, *, said: Said, control_plane: ControlPlane | None) -> None:
        self._given = given
        self._said = said
        self._control_plane = control_plane
        own = control_plane.namespace if control_plane else DEFAULT_NAMESPACE
        self.namespace = given.namespace or own

    def ask(self, ask: Ask[_T], *, port: int) -> _T:
        """The answer of the one who listens at `port` in a cluster; locally one answers everything. CliError
        where there is none.
        """
        if self._control_plane and self._control_plane.cluster:
            return self._through(self._control_plane.cluster, ask, port=port)
        address = self._said.addr or (self._control_plane and self._control_plane.proxy_api)
        if not address:
            raise CliError("only the public API is known here: --addr says where proxies ask")
        if self._given.verbose:
            output.note(f"asks {address}")
        return asyncio.run(_ask(address, ask))

    def _through(self, cluster: Cluster, ask: Ask[_T], *, port: int) -> _T:
        from linkerd2_py.cli.forward import forwarded
        from linkerd2_py.controlplane.kubernetes_api import ApiError

        namespace = where(self._given)
        try:
            pod = self._said.pod or _running(cluster, namespace=namespace)
            if self._given.verbose:
                output.note(f"asks port {port} of {namespace}/{pod} through {cluster.address}")

            async def asked() -> _T:
                async with AsyncExitStack() as stack:
                    way = await stack.enter_async_context(
                        forwarded(cluster.api, namespace=namespace, pod=pod, port=port)
                    )
                    try:
                        return await _ask(way.address, ask)
                    except CliError as error:
                        if way.problem:
                            raise CliError(f"{namespace}/{pod}: {way.problem}") from error
                        raise

            return cluster.run(asked())
        except ApiError as error:
            raise CliError(
                f"{cluster.address} does not lead to the destination: {error}"
            ) from error


@contextmanager
def proxy_api(given: Globals, said: Said) -> Iterator[ProxyApi]:
    """The one that is there. CliError if none is."""
    check_namespace(given)
    if said.addr and given.says_a_cluster:
        raise bad_usage(
            f"--addr asks one address, and {given.says_a_cluster} a cluster: use one of them"
        )
    control_plane = None if said.addr else find(given)
    if control_plane is None and not said.addr:
        raise CliError(NOT_FOUND)
    if said.pod and not (control_plane and control_plane.cluster):
        raise CliError("--destination-pod is one of a cluster, and none is asked here")
    try:
        yield ProxyApi(given, said=said, control_plane=control_plane)
    finally:
        if control_plane and control_plane.cluster:
            control_plane.cluster.close()


def _running(cluster: Cluster, *, namespace: str) -> str:
    """The name of a pod that answers what proxies ask."""
    query = {"labelSelector": _COMPONENT, "fieldSelector": "status.phase=Running"}
    path = f"/api/v1/namespaces/{namespace}/pods"
    found = cluster.get(path, query, timeout_s=_TIMEOUT_S)["items"]
    # Ready ones first.
    names = sorted((not _is_ready(pod), str(pod["metadata"]["name"])) for pod in found)
    if not names:
        raise CliError(
            f"no pod labelled {_COMPONENT} runs in the namespace {namespace!r}: -L says where they are"
        )
    return names[0][1]


def _is_ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


async def _ask(address: str, ask: Ask[_T]) -> _T:
    from grpc.aio import AioRpcError, insecure_channel

    try:
        async with (
            asyncio.timeout(_TIMEOUT_S),
            insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel,
        ):
            return await ask(channel)
    except TimeoutError as error:
        raise CliError(f"{address} does not answer within {_TIMEOUT_S:g} s") from error
    except AioRpcError as error:
        raise CliError(_reason(error, address=address)) from error


def _reason(error: AioRpcError, *, address: str) -> str:
    from grpc import StatusCode

    details = str(error.details() or error.code().name)
    if error.code() is StatusCode.UNAVAILABLE:
        return f"cannot reach the proxy API at {address}: {details}"
    if error.code() is StatusCode.UNIMPLEMENTED:
        return f"who answers proxies at {address} does not know this question: {details}"
    return details
