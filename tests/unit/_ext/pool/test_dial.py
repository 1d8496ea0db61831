"""How connections are made, and what becomes of those that cannot be."""

import socket

from tests.support.endpoint_rig import MS, Rig, arrived
from tests.support.raw_socket import RawListener


def test_an_opaque_waiter_gets_a_connection_of_its_own(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, opaque=True)
    asker, other = door.ask("transport"), door.ask("transport")
    rig.until(lambda: asker.events and other.events)
    # Nobody stands on it yet: what comes waits in the kernel.
    assert asker.events == other.events == [("transport", "paused")]
    rig.accept(listener)
    rig.accept(listener)
    asker.hang_up()
    other.hang_up()


def test_who_asked_is_told_that_nobody_listens(rig: Rig, nobody: tuple[str, int]) -> None:
    door = rig.door(nobody, alone=True)
    asker = door.ask("transport")
    assert asker.events == []
    rig.until(lambda: asker.events)
    assert asker.events == [("failed", "connection refused")]
    assert door.state()["dialing"] == 0


def test_a_refused_connect_is_tried_at_the_other_address(
    rig: Rig, listener: RawListener, nobody: tuple[str, int]
) -> None:
    door = rig.door(nobody, alone=True, other=listener.address)
    asker = door.ask()
    rig.until(lambda: asker.events)
    assert asker.events == [("stream", "new")]
    # Where it was found changes nothing of what it is called by.
    assert (door.at(), door.address()) == (listener.address, nobody)
    rig.answer(asker, rig.accept(listener))


def test_what_answered_last_is_tried_first(
    rig: Rig, listener: RawListener, nobody: tuple[str, int]
) -> None:
    door = rig.door(nobody, alone=True, other=listener.address, http1_max_idle=0)
    for _ in range(3):
        asker = door.ask()
        rig.until(lambda asker=asker: asker.events)
        rig.answer(asker, rig.accept(listener))
        assert door.at() == listener.address


def test_several_dials_that_are_refused_at_once_exchange_the_addresses_once(
    rig: Rig, listener: RawListener, nobody: tuple[str, int]
) -> None:
    door = rig.door(nobody, alone=True, other=listener.address)
    askers = [door.ask("transport") for _ in range(4)]
    rig.until(lambda: all(asker.events for asker in askers))
    assert [asker.events for asker in askers] == [[("transport", "paused")]] * 4
    assert door.at() == listener.address
    for asker in askers:
        rig.accept(listener)
        asker.hang_up()


def test_where_both_refuse_it_ends(rig: Rig, nobody: tuple[str, int]) -> None:
    with RawListener() as gone:
        other = gone.address
    door = rig.door(nobody, alone=True, other=other)
    asker = door.ask("transport")
    rig.until(lambda: asker.events)
    assert asker.events == [("failed", "connection refused")]


def test_a_connect_has_its_time(rig: Rig) -> None:
    # A queue of one that is full: the kernel answers no further SYN.
    with RawListener(backlog=0) as full:
        holders = []
        for _ in range(4):
            holder = socket.socket()
            holder.setblocking(False)
            holder.connect_ex(full.address)
            holders.append(holder)
        door = rig.door(full.address, alone=True, connect_timeout_ns=30 * MS)
        asker = door.ask("transport")
        rig.until(lambda: asker.events)
        assert asker.events == [("failed", "connect timed out")]
        for holder in holders:
            holder.close()


def test_a_connection_that_comes_after_the_endpoint_was_removed_is_cut(
    rig: Rig, listener: RawListener
) -> None:
    door = rig.door(listener, alone=True)
    asker = door.ask("transport")
    door.close()
    rig.until(lambda: asker.events)
    assert asker.events == [("failed", "connection closed by proxy")]
    link = rig.accept(listener)
    rig.until(lambda: arrived(link))
