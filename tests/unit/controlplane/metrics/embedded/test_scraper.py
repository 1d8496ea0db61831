"""What the scraper leaves in the store of a pod that it follows no longer."""

from dataclasses import replace

import pytest

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.mesh.objects import Pod
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.metrics.embedded.queries import sum_latest
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.scraper import Scraper
from linkerd2_py.controlplane.metrics.store import Selection

# Nobody is asked: between two waits no turn begins.
POD = Pod("default", "web-0", None, ("127.0.1.1",), meshed=True, admin_addr="127.0.0.1:1")


@pytest.mark.parametrize("stays", [False, True])
async def test_the_last_value_of_a_pod_ends_with_it(stays: bool) -> None:
    """What it had open is not open for as long as one looks back for a sample."""
    mesh, store, clock = MeshStore(), SampleStore(), ManualClock()
    scraper = Scraper(mesh, store=store, interval_s=1, clock=clock)
    scraper.start()
    mesh.put(POD)
    at_ms = int(clock.monotonic() * 1000)
    store.append(POD.key, labels={}, text="tcp_open_connections 7\n", at_ms=at_ms)
    clock.advance(1)
    if stays:
        mesh.put(replace(POD, meshed=False))
    else:
        mesh.remove(Pod, key=POD.key)
    await scraper.stop()
    found = await sum_latest(
        store, "tcp_open_connections", selection=Selection({}, ()), at_ms=at_ms + 1000
    )
    assert found == {}
