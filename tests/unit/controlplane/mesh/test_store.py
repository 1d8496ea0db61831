"""The registry: snapshot, then every change, in order, to everyone."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from linkerd2_py.base import tasks
from linkerd2_py.controlplane.mesh.objects import (
    Change,
    Deployment,
    Key,
    Pod,
    PortSpec,
    Service,
)
from linkerd2_py.controlplane.mesh.store import Registry

WEB = Service("default", "web-svc", "web", (PortSpec("", 80, 8080),))
POD = Pod("default", "web-0", "web", "127.0.1.1", {8080: 40001}, ready=True, status="Running")
DEPLOYMENT = Deployment("default", "web", 1)


class Listener:
    def __init__(self) -> None:
        self.batches: list[Sequence[Change]] = []

    def __call__(self, changes: Sequence[Change]) -> None:
        self.batches.append(changes)


def test_subscriber_gets_a_snapshot_then_changes() -> None:
    registry, heard = Registry(), Listener()
    registry.apply(services=[WEB])
    subscription = registry.subscribe(heard)
    registry.put(POD)
    assert dict(subscription.snapshot.services) == {WEB.key: WEB}
    assert dict(subscription.snapshot.pods) == {}
    assert heard.batches == [[Change(None, POD)]]


def test_apply_publishes_the_difference_as_one_batch() -> None:
    registry, heard = Registry(), Listener()
    gone = replace(POD, name="web-1")
    registry.apply(services=[WEB], pods=[POD, gone], deployments=[DEPLOYMENT])
    registry.subscribe(heard)
    ready = replace(POD, restarts=1)
    registry.apply(services=[WEB], pods=[ready])
    assert heard.batches == [[Change(gone, None), Change(POD, ready)]]
    assert set(registry.mesh.deployments) == {DEPLOYMENT.key}


def test_equal_objects_cause_nothing() -> None:
    registry, heard = Registry(), Listener()
    registry.apply(services=[WEB])
    registry.subscribe(heard)
    registry.apply(services=[WEB])
    registry.put(WEB)
    registry.remove(Pod, key=Key("default", "nobody"))
    assert heard.batches == []


@pytest.mark.parametrize("obj", [WEB, POD, DEPLOYMENT])
def test_an_object_put_can_be_removed(obj: Service | Pod | Deployment) -> None:
    registry, heard = Registry(), Listener()
    registry.put(obj)
    registry.subscribe(heard)
    registry.remove(type(obj), key=obj.key)
    assert heard.batches == [[Change(obj, None)]]
    assert heard.batches[0][0].subject == obj
    mesh = registry.mesh
    assert not mesh.services
    assert not mesh.pods
    assert not mesh.deployments


def test_a_failing_subscriber_keeps_nobody_from_hearing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_told", set())
    registry, heard = Registry(), Listener()

    def fail(_changes: Sequence[Change]) -> None:
        raise RuntimeError("broken")

    registry.subscribe(fail)
    registry.subscribe(heard)
    registry.put(WEB)
    assert heard.batches == [[Change(None, WEB)]]
    assert "registry-subscriber failed: RuntimeError('broken')" in caplog.text


def test_closed_subscription_hears_nothing_and_may_be_closed_again() -> None:
    registry, heard = Registry(), Listener()
    subscription = registry.subscribe(heard)
    subscription.close()
    subscription.close()
    registry.put(WEB)
    assert heard.batches == []
    assert registry.subscribers == 0


def test_a_change_made_by_a_subscriber_comes_after_the_one_it_was_told_of() -> None:
    registry = Registry()
    orders: list[list[Change]] = [[], []]

    def answer(changes: Sequence[Change]) -> None:
        orders[0] += changes
        if changes[0].subject is WEB:
            registry.put(POD)

    registry.subscribe(answer)
    registry.subscribe(orders[1].extend)
    registry.put(WEB)
    assert orders[0] == orders[1] == [Change(None, WEB), Change(None, POD)]


def test_subscribers_hear_in_the_order_of_their_coming() -> None:
    """So that who applies while it is told is, on every run, told before or after the same others."""
    registry = Registry()
    heard: list[int] = []
    subscriptions = [
        registry.subscribe(lambda _, number=number: heard.append(number)) for number in range(50)
    ]
    subscriptions[7].close()
    registry.put(WEB)
    assert heard == [number for number in range(50) if number != 7]


def test_a_change_without_sides_has_no_subject() -> None:
    with pytest.raises(ValueError, match="at least one side"):
        _ = Change(None, None).subject


def test_only_a_running_ready_pod_serves() -> None:
    assert POD.serving
    assert not replace(POD, ready=False).serving
    assert not replace(POD, status="Terminating").serving


def test_pods_are_found_by_workload_and_ports_by_number() -> None:
    registry = Registry()
    registry.apply(services=[WEB], pods=[POD, replace(POD, name="db-0", workload="db")])
    assert list(registry.mesh.pods_of(Key("default", "web"))) == [POD]
    assert WEB.port(80) == PortSpec("", 80, 8080)
    assert WEB.port(81) is None
