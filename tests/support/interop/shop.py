"""A cluster with a client and a service of every make; what is not given is not there, and skips who wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.interop import workload
from tests.support.interop.cluster import Cluster, Pod, cluster
from tests.support.interop.programs import Program, need
from tests.support.interop.proxies import Make

PORTS: Final = {
    80: workload.HTTP,
    81: workload.GRPC,
    workload.GREETING: workload.GREETING,
    workload.ECHO: workload.ECHO,
}
OPAQUE: Final = {"config.linkerd.io/opaque-ports": f"{workload.GREETING},{workload.ECHO}"}


class Shop:
    """Everything in it is made once, when it is first asked for."""

    def __init__(self, made: Cluster) -> None:
        self.cluster = made
        self.client = cache(self._client)
        self.plain = cache(self._plain)
        self.servers = cache(self._servers)
        self.service = cache(self._service)

    def _client(self, make: Make) -> Pod:
        return self.cluster.pod(f"{make}-client", proxy=make, account=f"{make}-client")

    def _plain(self) -> Pod:
        """One without a proxy."""
        return self.cluster.pod("plain")

    def _servers(self, make: Make) -> tuple[Pod, Pod]:
        """Two pods that serve."""
        one, other = (
            self.cluster.pod(
                f"{make}-{n}", proxy=make, account=f"{make}-server", annotations=OPAQUE
            )
            for n in (1, 2)
        )
        return one, other

    def _service(self, make: Make) -> str:
        """The address of both."""
        return self.cluster.service(make, *self.servers(make), ports=PORTS, annotations=OPAQUE)


@contextmanager
def shop(
    folder: Path,
    *,
    answers: Make = Make.OURS,
    beside: Make = Make.OURS,
    policy: Make = Make.OURS,
    transport_mode: str = "transparent",
    default_policy: str = "all-unauthenticated",
) -> Iterator[Shop]:
    """With a control plane that answers; `beside` is the make of the proxies of its own pods, `policy` that of
    who answers policies.
    """
    with cluster(folder, transport_mode=transport_mode, default_policy=default_policy) as made:
        made.start_control_plane(answers, proxy=beside, policy=policy)
        yield Shop(made)


def mesh_of(
    make: Make,
    folder: Path,
    *,
    transport_mode: str = "transparent",
    default_policy: str = "all-unauthenticated",
) -> AbstractContextManager[Shop]:
    """A control plane of one make. Ours answers policies where Linkerd's controller of them is not given, and has
    its proxies beside it where Linkerd's is not.
    """
    policy = beside = Make.OURS
    if make is Make.LINKERD:
        need(Program.CONTROLLER)
        policy = make if Program.POLICY_CONTROLLER.is_given else policy
        beside = make if Program.PROXY.is_given else beside
    return shop(
        folder,
        answers=make,
        beside=beside,
        policy=policy,
        transport_mode=transport_mode,
        default_policy=default_policy,
    )
