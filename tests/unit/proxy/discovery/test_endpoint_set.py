"""The order rules of a stream of updates."""

from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.discovery.messages import (
    Added,
    Emptied,
    Endpoint,
    EndpointSet,
    Removed,
    Replaced,
)
from tests.support.destination_messages import add, no_endpoints, remove, weighted

A, B, C = ("10.0.0.1", 80), ("10.0.0.2", 80), ("10.0.0.3", 80)


def endpoint(address: tuple[str, int]) -> Endpoint:
    return Endpoint(SocketAddr(*address))


def fresh(skipped: list[int] | None = None) -> EndpointSet:
    return EndpointSet(on_skipped=(skipped if skipped is not None else []).append)


def known(found: EndpointSet) -> set[tuple[str, int]]:
    return {(one.address.host, one.address.port) for one in found.endpoints}


def test_the_first_add_is_the_whole_set_and_the_next_joins_it() -> None:
    found = fresh()
    assert found.apply(add(A)) == Replaced((endpoint(A),))
    assert found.apply(add(B)) == Added((endpoint(B),))
    assert known(found) == {A, B}


def test_after_a_reconnect_the_first_add_replaces() -> None:
    found = fresh()
    found.apply(add(A, B))
    found.reconnected()
    assert known(found) == {A, B}
    assert found.apply(add(B, C)) == Replaced((endpoint(B), endpoint(C)))
    assert known(found) == {B, C}


def test_a_remove_before_the_first_add_is_ignored() -> None:
    found = fresh()
    found.apply(add(A, B))
    found.reconnected()
    assert found.apply(remove(A)) is None
    assert known(found) == {A, B}
    assert found.apply(add(C)) == Replaced((endpoint(C),))


def test_an_empty_add_is_ignored_and_replaces_nothing() -> None:
    found = fresh()
    found.apply(add(A))
    found.reconnected()
    assert found.apply(destination.Update(add=destination.WeightedAddrSet())) is None
    assert known(found) == {A}
    assert found.apply(add(B)) == Replaced((endpoint(B),))


def test_an_add_of_unusable_addresses_only_is_empty_and_counted() -> None:
    skipped: list[int] = []
    found = fresh(skipped)
    found.apply(add(A))
    found.reconnected()
    bad = destination.WeightedAddrSet(addrs=[destination.WeightedAddr(), weighted("0.0.0.0", 1)])
    assert found.apply(destination.Update(add=bad)) is None
    assert known(found) == {A}
    assert skipped == [2]


def test_removing_the_last_one_is_no_endpoints() -> None:
    found = fresh()
    found.apply(add(A, B))
    assert found.apply(remove(A)) == Removed((SocketAddr(*A),))
    assert found.apply(remove(B)) == Emptied(exists=True)


def test_removing_strangers_changes_nothing() -> None:
    found = fresh()
    found.apply(add(A))
    assert found.apply(remove(B)) is None
    assert found.apply(destination.Update(remove=destination.AddrSet())) is None


def test_no_endpoints_empties_and_an_add_begins_again() -> None:
    found = fresh()
    found.apply(add(A))
    found.reconnected()
    assert found.apply(no_endpoints(exists=False)) == Emptied(exists=False)
    assert known(found) == set()
    assert found.apply(add(B)) == Added((endpoint(B),))


def test_an_endpoint_that_changed_is_added_again() -> None:
    found = fresh()
    found.apply(add(A))
    assert found.apply(add(A, h2=True)) == Added((Endpoint(SocketAddr(*A), h2=True),))
    assert found.endpoints == (Endpoint(SocketAddr(*A), h2=True),)


def test_an_update_without_content_says_nothing() -> None:
    found = fresh()
    assert found.apply(destination.Update()) is None
    assert not found.answered
