"""Addresses and ports of pods."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkerd2_py.controlplane.local.place.loopback import addresses
from linkerd2_py.controlplane.local.place.loopback.addresses import AddressPool, PortPicker
from linkerd2_py.controlplane.local.place.place import AddressError
from tests.support.privileges import nobody_words


def test_two_meshes_never_share_an_address() -> None:
    one, other = AddressPool(), AddressPool()
    taken = [pool.take() for pool in (one, other) for _ in range(300)]
    assert len(set(taken)) == 600
    assert all(address.startswith("127.0.") for address in taken)
    one.close()
    other.close()


def test_a_slice_can_be_claimed_again_after_close() -> None:
    pool = AddressPool()
    first = pool.take()
    pool.close()
    pool.close()
    again = AddressPool()
    assert again.take() == first
    again.close()


def test_an_address_given_back_is_reused_last() -> None:
    pool = AddressPool()
    first = pool.take()
    pool.give_back(first)
    assert pool.take() != first
    pool.close()


SQUAT = """
import socket, sys
held = [socket.socket(socket.AF_UNIX) for _ in sys.argv[2:]]
for each, name in zip(held, sys.argv[2:]):
    each.bind("\\0linkerd2-py-" + name)
    if sys.argv[1] == "listens":
        each.listen()
print("held", flush=True)
input()
"""


@contextlib.contextmanager
def taken_by_nobody(*names: str, how: str) -> Iterator[None]:
    words = nobody_words("/usr/bin/python3", "-c", SQUAT, how, *names)
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("\n")


@pytest.mark.parametrize("how", ["listens", "binds"])
def test_names_that_another_user_takes_keep_nothing_from_a_mesh(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every slice and every port has one; what they stand for is free."""
    monkeypatch.setattr(addresses, "_SLICES", range(250, 252))
    monkeypatch.setattr(addresses, "_candidates", lambda _preferred: iter([9080, 9081]))
    names = ["slice-250", "slice-251", "port-127.0.0.1-9080", "port-127.0.0.1-9081"]
    with taken_by_nobody(*names, how=how):
        pools = [AddressPool() for _ in range(3)]
        assert {pool.take() for pool in pools[:2]} == {"127.0.250.1", "127.0.251.1"}
        # What this user's own meshes share, they do not share with one another.
        with pytest.raises(AddressError, match="no free slice"):
            pools[2].take()
        for pool in pools:
            pool.close()
        with socket.create_server(("127.0.0.1", 9080)):
            assert PortPicker("127.0.0.1", shared=True).pick(9080) == 9081


def test_names_of_this_user_s_other_meshes_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_SLICES", range(250, 251))
    one, other = AddressPool(), AddressPool()
    one.take()
    with pytest.raises(AddressError, match="no free slice"):
        other.take()
    one.close()


def test_no_slice_left_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_SLICES", range(0))
    with pytest.raises(AddressError, match="no free slice"):
        AddressPool().take()


def test_preferred_port_is_given_when_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert PortPicker("127.0.0.1").pick(port) == port


@pytest.mark.parametrize("preferred", [0, 80, 65535])
def test_a_replaced_port_is_none_that_outgoing_connections_get(
    preferred: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        addresses, "_can_bind", lambda _address, *, port: port not in {0, 80, 65535}
    )
    port = PortPicker("127.0.0.1").pick(preferred)
    assert port not in addresses.ephemeral_ports()
    assert 1024 <= port < 65535


def test_a_taken_port_is_replaced_by_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = PortPicker("127.0.0.1").pick(port)
    assert found != port
    assert found not in addresses.ephemeral_ports()


def test_ports_that_connections_get_are_better_than_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ephemeral = addresses.ephemeral_ports()
    monkeypatch.setattr(addresses, "_can_bind", lambda _address, *, port: port in ephemeral)
    assert PortPicker("127.0.0.1").pick(80) in ephemeral


def test_without_proc_the_usual_ports_are_avoided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "_EPHEMERAL", tmp_path / "absent")
    assert addresses.ephemeral_ports() == range(32768, 61000)


def test_a_port_is_never_given_twice() -> None:
    picker = PortPicker("127.0.0.1")
    first = picker.pick(9080)
    assert picker.pick(first) != first


def test_two_meshes_never_share_a_door() -> None:
    one, other = (PortPicker("127.0.0.1", shared=True) for _ in range(2))
    first = one.pick(9080)
    assert other.pick(first) != first
    one.close()
    one.close()
    assert PortPicker("127.0.0.1").pick(first) == first
    other.close()


def test_no_port_left_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_can_bind", lambda _address, *, port: False)
    with pytest.raises(AddressError, match=r"no free port is left at 127\.0\.0\.1"):
        PortPicker("127.0.0.1").pick(1)
