"""Contenders for one Lease of a real API server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from linkerd2_py.base.clock import Clock, ManualClock, SystemClock
from linkerd2_py.controlplane.kubernetes_api import ApiError
from linkerd2_py.controlplane.leader import Leader, LeaseTimes
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer, connect
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.kubectl import Kubectl
from tests.support.wait import eventually_async, in_time

LIMIT_S = 30.0
# A lease that lasts for longer than any test, and one that ends soon; both are looked at all the time.
LONG = LeaseTimes(lease_s=3600.0, sure_s=1800.0, look_s=0.05)
SHORT = LeaseTimes(lease_s=2.0, sure_s=1.0, look_s=0.05)

pytestmark = pytest.mark.timeout(300)


class Contenders:
    """Some of one lease, each with a client of its own."""

    def __init__(self, control_plane: ControlPlane, stack: AsyncExitStack, *, name: str) -> None:
        self._control_plane = control_plane
        self._stack = stack
        self.name = name

    async def __call__(
        self, identity: str, *, times: LeaseTimes, clock: Clock | None = None, user: str = ""
    ) -> Leader:
        config = self._control_plane.kubeconfig_of(user) if user else self._control_plane.kubeconfig
        api = await connect(config)
        self._stack.push_async_callback(api.close)
        leader = Leader(
            api,
            namespace="default",
            name=self.name,
            identity=identity,
            clock=clock or SystemClock(),
            times=times,
        )
        self._stack.push_async_callback(leader.stop)
        leader.start()
        return leader


@pytest.fixture
async def contenders(
    control_plane: ControlPlane, request: pytest.FixtureRequest
) -> AsyncIterator[Contenders]:
    name = request.node.name.replace("_", "-").removeprefix("test-")
    async with AsyncExitStack() as stack:
        yield Contenders(control_plane, stack, name=name)


def lease(kubectl: Kubectl, name: str) -> dict[str, object]:
    found = json.loads(kubectl("get", "lease", name, "--namespace=default", "--output=json"))
    return dict(found["spec"])


async def test_one_leads_and_the_next_follows_when_it_stops(
    contenders: Contenders, kubectl: Kubectl
) -> None:
    first = await contenders("first", times=LONG)
    await in_time(first.elected(), LIMIT_S)
    second = await contenders("second", times=LONG)
    renewed = lease(kubectl, contenders.name)["renewTime"]
    await eventually_async(
        lambda: lease(kubectl, contenders.name)["renewTime"] != renewed, deadline_s=LIMIT_S
    )
    assert first.is_leader
    assert not second.is_leader
    # It gives the lease back, for it would last for an hour.
    await first.stop()
    assert not first.is_leader
    await in_time(second.elected(), LIMIT_S)
    said = lease(kubectl, contenders.name)
    assert (said["holderIdentity"], said["leaseTransitions"]) == ("second", 1)


async def test_one_that_vanished_is_followed_when_its_lease_has_run_out(
    contenders: Contenders, kubectl: Kubectl
) -> None:
    """Whatever time its clock said it was."""
    ahead = ManualClock()
    ahead.step_calendar(3600.0)
    gone = await contenders("gone", times=SHORT, clock=ahead)
    await in_time(gone.elected(), LIMIT_S)
    # To its own clock no time passes, so it goes on; then it falls silent and keeps its lease.
    clock = ManualClock()
    other = await contenders("other", times=SHORT, clock=clock)
    ahead.advance(SHORT.sure_s)
    assert not gone.is_leader
    await gone.stop()
    assert lease(kubectl, contenders.name)["holderIdentity"] == "gone"
    renewed = lease(kubectl, contenders.name)["renewTime"]
    await eventually_async(lambda: other._said.get("renewTime") == renewed, deadline_s=LIMIT_S)
    clock.advance(SHORT.lease_s - 0.01)
    assert not other.is_leader
    clock.advance(0.01)
    await in_time(other.elected(), LIMIT_S)
    assert lease(kubectl, contenders.name)["holderIdentity"] == "other"


async def test_two_that_begin_together_are_never_both_leaders(contenders: Contenders) -> None:
    several = [await contenders(f"number-{number}", times=LONG) for number in range(4)]

    def leaders() -> int:
        found = sum(one.is_leader for one in several)
        assert found <= 1
        return found

    for _ in range(len(several)):
        await eventually_async(leaders, deadline_s=LIMIT_S)
        (leader,) = (one for one in several if one.is_leader)
        await leader.stop()
        several.remove(leader)
        leaders()


async def test_who_may_not_write_leases_says_so_and_leads_nobody(contenders: Contenders) -> None:
    nobody = await contenders("nobody", times=LONG, user="no-leases")
    await eventually_async(lambda: "is forbidden" in nobody.problem, deadline_s=LIMIT_S)
    assert not nobody.is_leader


async def test_what_is_written_comes_back_and_what_is_refused_says_why(
    control_plane: ControlPlane,
) -> None:
    api: ApiServer = await connect(control_plane.kubeconfig)
    try:
        maps = "/api/v1/namespaces/default/configmaps"
        new = {"metadata": {"name": "written"}, "data": {"one": "1"}}
        made = await api.create(maps, new)
        with pytest.raises(ApiError, match=r'"written" already exists') as twice:
            await api.create(maps, new)
        assert twice.value.status == 409
        patched = await api.patch(f"{maps}/written", {"data": {"two": "2"}})
        assert patched["data"] == {"one": "1", "two": "2"}
        with pytest.raises(ApiError, match="the object has been modified") as stale:
            await api.replace(f"{maps}/written", {**made, "data": {}})
        assert stale.value.status == 409
        replaced = await api.replace(f"{maps}/written", {**patched, "data": {"three": "3"}})
        assert replaced["data"] == {"three": "3"}
    finally:
        await api.close()
