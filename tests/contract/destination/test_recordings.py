"""Our answers are those of Linkerd's destination controller, in both of its transport modes, about the same
objects. Its cluster's API server was a stand-in that fills in nothing; what a real one gave is compared in
tests/cluster.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from linkerd2_py.controlplane.destination.settings import KEEP_ALIVE, Settings
from linkerd2_py.controlplane.mesh.store import MeshStore
from tests.support.as_listed import listed
from tests.support.recordings import (
    MISSING,
    RECORDED,
    Asker,
    Recording,
    cluster_ips,
    differences,
    objects,
    recordings,
)

pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason=MISSING)

DIFFERENCES = Path(__file__).parent / "differences.toml"
# As the controller was run: without and with its parameters for HTTP/2.
SETTINGS = {
    "transparent": Settings(outbound_transport_mode="transparent", meshed_http2=None),
    "transport-header": Settings(
        outbound_transport_mode="transport-header", meshed_http2=KEEP_ALIVE
    ),
}
CASES = [(folder, one) for folder in SETTINGS for one in recordings(folder)]


@functools.cache
def mesh() -> MeshStore:
    return listed(objects(), cluster_ips=cluster_ips("clusterips.json"))


@pytest.mark.parametrize(
    ("folder", "recording"), CASES, ids=[f"{folder}-{one.name}" for folder, one in CASES]
)
async def test_answer_is_as_recorded_or_listed(folder: str, recording: Recording) -> None:
    listed_reason = differences(DIFFERENCES, folder).get(recording.name)
    ours = await Asker(mesh(), SETTINGS[folder]).ask(recording)
    if listed_reason is None:
        assert str(ours) == str(recording.answer)
    else:
        assert ours != recording.answer, f"this is listed, and is no difference: {listed_reason}"


@pytest.mark.parametrize("folder", SETTINGS)
def test_listed_differences_are_of_recordings(folder: str) -> None:
    assert differences(DIFFERENCES, folder).keys() <= {one.name for one in recordings(folder)}
