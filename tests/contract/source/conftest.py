"""Every source, told of the same mesh. A further one is a further parameter of `store`, with
what tells it.
"""

from collections.abc import Callable

import pytest

from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.controlplane.sources.local.source import LocalSource
from tests.contract.source import described
from tests.contract.source.described import NAMESPACE, DescribedPod


def local() -> MeshStore:
    """As the supervisor of a mesh in network namespaces tells it."""
    store = MeshStore()
    source = LocalSource(store)
    source.describe(
        services=[
            ServiceSpec(NAMESPACE, one.name, one.workload, one.ports, one.ips)
            for one in described.SERVICES
        ],
        workloads=[described.workload(name) for name in described.WORKLOADS],
    )
    for one in described.PODS:
        source.put(_replica(one))
    return store


def _replica(one: DescribedPod) -> Replica:
    return Replica(
        NAMESPACE,
        one.name,
        one.workload,
        one.ips[0],
        {port: port for port in one.ports},
        ready=one.ready,
        meshed=one.meshed,
        status="Running",
        ip6=next(iter(one.ips[1:]), ""),
        intercepted=one.meshed,
        skipped_ports=described.SKIPPED if one.meshed else frozenset(),
        service_account=one.workload,
        identity=one.identity,
        inbound_port=described.INBOUND_PORT if one.meshed else 0,
    )


@pytest.fixture(params=[local])
def store(request: pytest.FixtureRequest) -> MeshStore:
    """The mesh of `described`, as one of the sources has published it."""
    tell: Callable[[], MeshStore] = request.param
    return tell()
