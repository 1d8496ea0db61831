"""Our answers are those of Linkerd's destination controller about the same objects: on a real API server, and
in both of its transport modes with a stand-in for one, which fills nothing in.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from linkerd2_py.controlplane.destination.settings import KEEP_ALIVE, Settings
from linkerd2_py.controlplane.mesh.store import MeshStore
from tests.support.as_listed import listed
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.recorded import MISSING, RECORDED, recorded_objects
from tests.support.recorded_answers import Recorded
from tests.support.recordings import ask, differences, followed, recorded_answer, recordings

pytestmark = [
    pytest.mark.skipif(not RECORDED.exists(), reason=MISSING),
    # The first of them waits until the API server has started.
    pytest.mark.timeout(300),
]

DIFFERENCES = Path(__file__).parent / "differences.toml"
REAL = "real-apiserver"
WITH_HEADER = Settings(outbound_transport_mode="transport-header", meshed_http2=KEEP_ALIVE)
# As the controller was run.
SETTINGS = {
    "transparent": Settings(outbound_transport_mode="transparent", meshed_http2=None),
    "transport-header": WITH_HEADER,
    REAL: WITH_HEADER,
}
CASES = [(folder, one) for folder in SETTINGS if folder != REAL for one in recordings(folder)]


@functools.cache
def mesh() -> MeshStore:
    return listed(recorded_objects("clusterips.json"))


@pytest.mark.parametrize(
    ("folder", "recorded"), CASES, ids=[f"{folder}-{one.name}" for folder, one in CASES]
)
async def test_answer_is_as_recorded_or_listed(folder: str, recorded: Recorded) -> None:
    await compare(folder, recorded, store=mesh())


async def test_answers_of_a_real_api_servers_objects(linkerd_objects: ControlPlane) -> None:
    async with followed(linkerd_objects.kubeconfig) as store:
        for recorded in recordings(REAL):
            await compare(REAL, recorded, store=store)


@pytest.mark.parametrize("folder", SETTINGS)
def test_listed_differences_are_of_recordings(folder: str) -> None:
    assert differences(DIFFERENCES, folder).keys() <= {one.name for one in recordings(folder)}


async def compare(folder: str, recorded: Recorded, *, store: MeshStore) -> None:
    reason = differences(DIFFERENCES, folder).get(recorded.name)
    ours, theirs = (
        await ask(recorded, store=store, settings=SETTINGS[folder]),
        recorded_answer(recorded),
    )
    if reason is None:
        assert str(ours) == str(theirs), recorded.name
    else:
        assert ours != theirs, f"{recorded.name} is listed, and is no difference: {reason}"
