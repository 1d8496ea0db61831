"""Levels and counts of balancers."""

from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry

MS = 1_000_000


def levels(registry: Registry) -> dict[str, str]:
    text = b"".join(registry.render(0)).decode()
    found = (line.split() for line in text.splitlines() if line.startswith("b_balancer_"))
    return {name.removeprefix("b_balancer_"): value for name, value in found}


def test_what_balancers_with_the_same_labels_have_adds_up() -> None:
    registry = Registry()
    one, other = (door.Balancer(registry, b"b", b"") for _ in range(2))
    one.tell(2, 3, 0)
    other.tell(1, 1, 4)
    one.tell(1, 3, 1)
    found = levels(registry)
    assert found['endpoints{endpoint_state="ready"}'] == "2"
    assert found['endpoints{endpoint_state="pending"}'] == "2"
    assert (found["p2c_endpoints"], found["queue_length"]) == ("4", "5")
    other.tell(0, 0, 0)
    found = levels(registry)
    assert found['endpoints{endpoint_state="ready"}'] == "1"
    assert (found["p2c_endpoints"], found["queue_length"]) == ("3", "1")


def test_the_gate_is_open_at_first_and_nothing_has_happened() -> None:
    registry = Registry()
    held = door.Balancer(registry, b"b", b"")
    found = levels(registry)
    assert held and (found["queue_gate_open_total"], found["queue_gate_shut_total"]) == ("1", "0")
    assert [found[f'p2c_updates_total{{op="{op}"}}'] for op in ("Reset", "Add", "Remove")] == [
        "0"
    ] * 3
    assert found["queue_requests_total"] == "0"


def test_how_long_was_waited_is_in_linkerds_buckets() -> None:
    registry = Registry()
    held = door.Balancer(registry, b"b", b"")
    held.waited(700 * MS)
    found = levels(registry)
    bounds = ["0.0005", "0.005", "0.05", "0.5", "1.0", "3.0", "+Inf"]
    counts = [found[f'queue_latency_seconds_bucket{{le="{bound}"}}'] for bound in bounds]
    assert counts == ["0", "0", "0", "0", "1", "1", "1"]
