"""What is asked, what changes, and what it costs."""

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from bench.control_plane.connections import child, over_grpc, told
from bench.control_plane.cost import Cost, cost_of
from bench.control_plane.known_metrics import KnownMetrics
from bench.control_plane.mesh import Size, filled, pod_paths, rolled, service_paths
from bench.control_plane.readers import Readers
from bench.control_plane.relays import through_relays
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.public_api.answers.stat import stat
from linkerd2_py.controlplane.public_api.answers.stat_query import StatAsked
from linkerd2_py.controlplane.public_api.kinds import Kind

_CHANGES = 20


async def figures(size: Size) -> dict[str, float]:
    """Of each case the processor time and the longest stall, in milliseconds; of streams what one costs."""
    store = filled(size)
    costs = {
        "get": await get(store, size),
        "profile": await get_profile(store, size),
        "rollout": await rollout(store, size),
        "stat": await stat_join(store, size),
    }
    found = {f"{name}_cpu_ms": cost.cpu_s * 1e3 for name, cost in costs.items()}
    found |= {f"{name}_stall_ms": cost.stall_s * 1e3 for name, cost in costs.items()}
    with _destination(store) as destination:
        found |= await fan_out(store, size, destination=destination)
        found["stream_bytes"] = await bytes_of_a_stream(size, destination=destination)
    found |= await over_grpc(store, size)
    found |= await through_relays(store, size)
    found |= await synced(size)
    longest = max(value for key, value in found.items() if key.endswith("_stall_ms"))
    return {**found, "stall_ms": longest}


async def synced(size: Size) -> dict[str, float]:
    """A destination in a process of its own follows a cluster of that size."""
    of_cluster = str(size.workloads), str(size.pods_of_each)
    pods = str(size.workloads * size.pods_of_each)
    async with child("bench.control_plane.cluster", *of_cluster) as cluster:
        url = await told(cluster)
        async with child("bench.control_plane.syncing", url, pods) as syncing:
            found: dict[str, float] = json.loads(await told(syncing))
    return found


async def get(store: MeshStore, size: Size) -> Cost:
    """Every service is asked for at once, as when a control plane was restarted."""
    with _destination(store) as destination:
        asked = [destination.endpoints_question(path) for path in service_paths(size)]

        async def ask() -> None:
            await asyncio.gather(*map(destination.endpoints.subscribe, asked))

        return await cost_of(ask)


async def get_profile(store: MeshStore, size: Size) -> Cost:
    """So are as many addresses of pods."""
    with _destination(store) as destination:
        asked = [destination.profile_question(path) for path in pod_paths(size)]

        async def ask() -> None:
            await asyncio.gather(*map(destination.profiles.subscribe, asked))

        return await cost_of(ask)


async def rollout(store: MeshStore, size: Size) -> Cost:
    """One pod of each workload becomes unready, one by one, while everything is subscribed to."""
    with _destination(store) as destination:
        for path in service_paths(size):
            await destination.endpoints.subscribe(destination.endpoints_question(path))
        for path in pod_paths(size):
            await destination.profiles.subscribe(destination.profile_question(path))

        async def roll() -> None:
            for number in range(size.workloads):
                store.put(*rolled(store, number))
                await destination.endpoints.settled()
            await destination.profiles.settled()

        return await cost_of(roll)


async def stat_join(store: MeshStore, size: Size) -> Cost:
    """`stat deploy`, of metrics that are known."""
    operation = stat(store.mesh, metrics=KnownMetrics(size))

    async def ask() -> None:
        await operation.run(StatAsked(type=Kind.DEPLOYMENT))

    return await cost_of(ask)


async def fan_out(store: MeshStore, size: Size, *, destination: Destination) -> dict[str, float]:
    """One change after the other reaches all who ask for the same service."""
    readers = Readers(destination, path=next(service_paths(size)))

    async def change() -> None:
        for _ in range(_CHANGES):
            readers.expect(size.streams)
            store.put(*rolled(store, 0))
            await readers.told()

    opened = await cost_of(lambda: readers.open(size.streams))
    told = await cost_of(change)
    await readers.close()
    return {
        "open_us": opened.cpu_s * 1e6 / size.streams,
        "update_us": told.cpu_s * 1e6 / size.streams / _CHANGES,
        "update_stall_ms": told.stall_s * 1e3,
    }


async def bytes_of_a_stream(size: Size, *, destination: Destination) -> float:
    """With the task that reads it."""
    readers = Readers(destination, path=next(service_paths(size)))
    tracemalloc.start()
    await readers.open(size.streams)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await readers.close()
    return held / size.streams


@contextmanager
def _destination(store: MeshStore) -> Iterator[Destination]:
    destination = Destination(store, metrics=CollectorRegistry())
    try:
        yield destination
    finally:
        destination.close()
