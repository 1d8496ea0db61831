"""`python -m bench.control_plane.syncing URL PODS`: a destination that follows the cluster at URL. Prints, as
one line of JSON, how long it took until it could answer, what processor time that was, and its memory then.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from kubernetes.aio import client
from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.event_loop import new_event_loop
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.sources.kubernetes.source import KubernetesSource


async def _sync(url: str, pods: int) -> dict[str, float]:
    api = ApiServer(client.Configuration(host=url))
    store = MeshStore()
    began_s = time.perf_counter()
    source = KubernetesSource(api, store=store, clock=SystemClock(), identities=Identities())
    destination = Destination(store, metrics=CollectorRegistry())
    await destination.synced()
    took_s = time.perf_counter() - began_s
    if len(store.mesh.pods) != pods:
        raise ValueError(f"{len(store.mesh.pods)} pods were listed")
    found = {
        "synced_s": took_s,
        "synced_cpu_s": time.process_time(),
        "synced_rss_mib": _rss_mib(),
    }
    destination.close()
    await source.stop()
    await api.close()
    return found


def _rss_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return float(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(json.dumps(runner.run(_sync(sys.argv[1], int(sys.argv[2])))))
