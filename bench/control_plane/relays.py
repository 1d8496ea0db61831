"""Many proxy-apis before one destination: what a change costs each, with few proxies and with many."""

import asyncio
import time
from asyncio.subprocess import Process
from contextlib import AsyncExitStack
from pathlib import Path

from bench.control_plane.connections import asking, child, raise_limits, serving, told
from bench.control_plane.mesh import Size, rolled
from linkerd2_py.controlplane.mesh.store import MeshStore

_CHANGES = 10
# In which whatever a change makes destination do has been done.
_AFTER_S = 0.5
# Of each proxy-api, where they have few.
_FEW = 10


async def through_relays(store: MeshStore, size: Size) -> dict[str, float]:
    """CPU that a change takes of destination, which asks and is asked the same however many proxies there
    are, and CPU of all proxy-apis by delivered update.
    """
    raise_limits()
    few = await _change(_FEW, store, size)
    many = await _change(size.streams, store, size)
    return {
        "relayed_streams": float(size.relays * size.streams),
        "relayed_few_destination_ms": few["destination_ms"],
        "relayed_destination_ms": many["destination_ms"],
        "relayed_update_us": many["update_us"],
        "relayed_reached_ms": many["reached_ms"],
    }


async def _change(streams: int, store: MeshStore, size: Size) -> dict[str, float]:
    async with AsyncExitStack() as running:
        address = await running.enter_async_context(serving(store))
        relays, proxies = list[Process](), list[Process]()
        for _ in range(size.relays):
            relay = await running.enter_async_context(
                child("bench.control_plane.relaying", address)
            )
            relays.append(relay)
            connections = max(1, streams // 10)
            ask = asking(await told(relay), size, streams=streams, connections=connections)
            proxies.append(await running.enter_async_context(ask))
            await told(proxies[-1])
        destination_s = await _alone(store, proxies)
        spent_s, changed_s = _spent_s(relays), time.perf_counter()
        for _ in range(_CHANGES):
            store.put(*rolled(store, 0))
            await asyncio.gather(*map(told, proxies))
        return {
            "destination_ms": destination_s * 1e3,
            "update_us": (_spent_s(relays) - spent_s) * 1e6 / _CHANGES / streams / len(relays),
            "reached_ms": (time.perf_counter() - changed_s) * 1e3 / _CHANGES,
        }


async def _alone(store: MeshStore, proxies: list[Process]) -> float:
    """CPU that a change takes of this process, which is destination: nobody listens to the proxies here while
    it is measured, for that would be counted, too.
    """
    began_s = time.process_time()
    for _ in range(_CHANGES):
        store.put(*rolled(store, 0))
        await asyncio.sleep(_AFTER_S)
    spent_s = (time.process_time() - began_s) / _CHANGES
    for _ in range(_CHANGES):
        await asyncio.gather(*map(told, proxies))
    return spent_s


def _spent_s(processes: list[Process]) -> float:
    """By the kernel's scheduler, all threads."""
    threads = [path for one in processes for path in Path(f"/proc/{one.pid}/task").iterdir()]
    return sum(int((path / "schedstat").read_text().split()[0]) for path in threads) / 1e9
