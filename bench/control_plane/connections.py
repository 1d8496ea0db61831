"""The same fan-out to proxies: over gRPC, to streams on many connections, whose other ends are in processes
of their own.
"""

import asyncio
import json
import resource
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry

from bench.control_plane.cost import cost_of
from bench.control_plane.mesh import Size, rolled, service_paths
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.proxy_api.service import DestinationService

_CHANGES = 10
_DEADLINE_S = 120.0


async def over_grpc(store: MeshStore, size: Size) -> dict[str, float]:
    """CPU of this process by opened stream and by delivered update, where streams share connections and where
    each has its own; how long a change takes to reach all; memory by connection.
    """
    raise_limits()
    shared = await told_over(size.connections, size.streams, store, size)
    async with child("bench.control_plane.alone", str(size.alone)) as process:
        alone: dict[str, float] = json.loads(await told(process))
    return {
        "grpc_open_us": shared["open_us"],
        "grpc_update_us": shared["update_us"],
        "grpc_update_stall_ms": shared["update_stall_ms"],
        "grpc_reached_ms": shared["reached_ms"],
        "grpc_alone_open_us": alone["open_us"],
        "grpc_alone_update_us": alone["update_us"],
        "grpc_kib_per_connection": alone["kib"],
    }


async def told_over(
    connections: int, streams: int, store: MeshStore, size: Size
) -> dict[str, float]:
    """So many streams over so many connections, to a server in this process."""
    async with serving(store) as address:
        before_kib, began_s = _private_kib(), time.process_time()
        async with asking(address, size, streams=streams, connections=connections) as proxies:
            await told(proxies)
            opened_s, opened_kib = time.process_time() - began_s, _private_kib() - before_kib
            began_s, reached_s = time.process_time(), list[float]()
            for _ in range(_CHANGES):
                changed_s = time.perf_counter()
                store.put(*rolled(store, 0))
                await told(proxies)
                reached_s.append(time.perf_counter() - changed_s)
            told_s = time.process_time() - began_s

            async def change() -> None:
                store.put(*rolled(store, 0))
                await told(proxies)

            # By itself, for it keeps the loop turning while the network is waited for.
            stall_s = (await cost_of(change)).stall_s
    return {
        "open_us": opened_s * 1e6 / streams,
        "update_us": told_s * 1e6 / streams / _CHANGES,
        "update_stall_ms": stall_s * 1e3,
        "reached_ms": statistics.median(reached_s) * 1e3,
        "kib": opened_kib / connections,
    }


@asynccontextmanager
async def serving(store: MeshStore) -> AsyncIterator[str]:
    """Destination and proxy-api in this process, and where they are."""
    destination = Destination(store, metrics=CollectorRegistry())
    api = ProxyApi([DestinationService(destination).served()])
    api.bind()
    try:
        yield await api.start()
    finally:
        await api.stop(grace_s=0)


@asynccontextmanager
async def asking(
    address: str, size: Size, *, streams: int, connections: int
) -> AsyncIterator[Process]:
    """Proxies that ask for the first service, all of them at once."""
    words = [address, next(service_paths(size)), str(streams), str(connections)]
    async with child("bench.control_plane.asking", *words) as started:
        yield started


@asynccontextmanager
async def child(module: str, *words: str) -> AsyncIterator[Process]:
    """A program of ours, until the end of the block."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *words, stdout=PIPE
    )
    try:
        yield started
    finally:
        # It may have ended by itself.
        with suppress(ProcessLookupError):
            started.kill()
        await started.wait()


async def told(started: Process) -> str:
    """The next line it prints: of those who ask, that every stream has got one more message. EOFError when
    the process ends before.
    """
    assert started.stdout is not None
    async with asyncio.timeout(_DEADLINE_S):
        line = await started.stdout.readline()
    if not line:
        raise EOFError("a program of the benchmark has ended")
    return line.decode().strip()


def raise_limits() -> None:
    """As many descriptors as there may be."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _private_kib() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("Private_"))
