"""The same fan-out to proxies: over gRPC, to streams on many connections, whose other ends are in a process
of their own.
"""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.control_plane.cost import cost_of
from bench.control_plane.mesh import Size, rolled, service_paths
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.proxy_api.service import DestinationService

_CHANGES = 5
_DEADLINE_S = 120.0


async def over_grpc(store: MeshStore, size: Size, *, destination: Destination) -> dict[str, float]:
    """CPU of this process by opened stream and by delivered update; memory by connection with its share of
    the streams.
    """
    api = ProxyApi([DestinationService(destination).served()])
    api.bind()
    address = await api.start()
    before_kib, began_s = _rss_kib(), time.process_time()
    async with _asking(address, size) as asking:
        await _told(asking)
        opened_s, opened_kib = time.process_time() - began_s, _rss_kib() - before_kib

        async def change() -> None:
            store.put(*rolled(store, 0))
            await _told(asking)

        began_s = time.process_time()
        for _ in range(_CHANGES):
            await change()
        told_s = time.process_time() - began_s
        # By itself, for it keeps the loop turning while the network is waited for.
        stall_s = (await cost_of(change)).stall_s
    await api.stop(grace_s=0)
    return {
        "grpc_open_us": opened_s * 1e6 / size.streams,
        "grpc_update_us": told_s * 1e6 / size.streams / _CHANGES,
        "grpc_update_stall_ms": stall_s * 1e3,
        "grpc_kib_per_connection": opened_kib / size.connections,
    }


@asynccontextmanager
async def _asking(address: str, size: Size) -> AsyncIterator[Process]:
    words = [address, next(service_paths(size)), str(size.streams), str(size.connections)]
    program = [sys.executable, "-m", "bench.control_plane.asking"]
    asking = await asyncio.create_subprocess_exec(*program, *words, stdout=PIPE)
    try:
        yield asking
    finally:
        asking.kill()
        await asking.wait()


async def _told(asking: Process) -> None:
    """Every stream has got one more message. EOFError when the process ends before."""
    assert asking.stdout is not None
    async with asyncio.timeout(_DEADLINE_S):
        if not await asking.stdout.readline():
            raise EOFError("whoever asks has ended")


def _rss_kib() -> float:
    status = Path("/proc/self/status").read_text()
    return float(status.split("VmRSS:")[1].split()[0])
