"""Lists of plugins with our entry and without it, whoever else writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from linkerd2_py.controlplane.cni.conflist import (
    ConflistError,
    has_plugin,
    is_list,
    read,
    render,
    with_plugin,
    without_plugin,
)

OURS: dict[str, Any] = {"name": "linkerd-cni", "type": "linkerd-cni", "linkerd": {"ipv6": False}}
OLD = {**OURS, "linkerd": {"ipv6": True}}
BRIDGE = {"type": "bridge", "isGateway": True}
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}


def listed(*plugins: object, **more: object) -> dict[str, Any]:
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": list(plugins), **more}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([BRIDGE, PORTMAP], [BRIDGE, PORTMAP, OURS]),
        ([BRIDGE, OLD, PORTMAP], [BRIDGE, OURS, PORTMAP]),
        ([BRIDGE, OURS, OURS], [BRIDGE, OURS]),
        ([BRIDGE, OLD, PORTMAP, OURS], [BRIDGE, OURS, PORTMAP]),
        # Nobody has set up a network before the first one.
        ([OURS, BRIDGE], [BRIDGE, OURS]),
    ],
)
def test_there_is_exactly_one_entry(before: list[Any], after: list[Any]) -> None:
    changed = with_plugin(listed(*before), OURS)
    assert changed == listed(*after)
    assert with_plugin(changed, OURS) is None
    assert without_plugin(changed) == listed(*(one for one in after if one is not OURS))


def test_whoever_comes_after_us_is_left_there() -> None:
    """Two programs that both want to be the last would write for ever."""
    assert with_plugin(listed(BRIDGE, OURS, {"type": "istio-cni"}), OURS) is None


def test_keys_that_we_do_not_know_stay() -> None:
    found = listed(BRIDGE, disableCheck=True, other={"deep": [1, 2.5, None]})
    changed = with_plugin(found, OURS)
    assert changed is not None
    again = read(render(changed))
    assert list(again) == list(found)
    assert without_plugin(again) == found
    assert has_plugin(again)
    assert not has_plugin(found)


def test_a_single_plugin_becomes_a_list() -> None:
    single = {"cniVersion": "0.4.0", "name": "flannel", "type": "flannel", "mtu": 1450}
    data = json.dumps(single).encode()
    found = read(data)
    assert not is_list(data)
    assert found == {
        "cniVersion": "0.4.0",
        "name": "flannel",
        "plugins": [{"name": "flannel", "type": "flannel", "mtu": 1450}],
    }


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not JSON"),
        (b'{"name": "pods", "plugins": [{"type": "bri', "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"plugins": [{"type": "a", "mtu": NaN}]}', "NaN is no number"),
        (b"[]", "not an object"),
        (b"{}", "no plugins"),
        (b'{"plugins": []}', "no plugins"),
        (b'{"plugins": {"type": "bridge"}}', "no plugins"),
        (b'{"plugins": [{"type": "bridge"}, 7]}', "has no type"),
        (b'{"plugins": [{"type": 7}]}', "has no type"),
        (b" " * (1 << 20) + b"{}", "more than 1048576 bytes"),
    ],
)
def test_what_no_runtime_could_use_is_said_in_one_line(data: bytes, told: str) -> None:
    with pytest.raises(ConflistError, match=told) as caught:
        read(data)
    assert "\n" not in str(caught.value)


def test_a_list_of_ours_alone_sets_up_nothing() -> None:
    with pytest.raises(ConflistError, match="nobody in it"):
        with_plugin(listed(OURS), OURS)
