"""What an answer has said so far leads whoever hears it to the same set, whatever way it came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.proxy_api.relay.memory import Endpoints, Latest
from linkerd2_py.proto.gen import destination_pb2 as messages
from tests.support import destination_messages as made

HOSTS = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1")


class Balancer:
    """What a proxy makes of messages: endpoints by address, and whether it was ever left with none."""

    def __init__(self) -> None:
        self.endpoints: dict[bytes, tuple[bytes, tuple[tuple[str, str], ...]]] = {}
        self.was_empty = False

    def hear(self, *told: bytes) -> Balancer:
        for message in told:
            update = messages.Update.FromString(message)
            if update.HasField("add"):
                shared = tuple(sorted(update.add.metric_labels.items()))
                for one in update.add.addrs:
                    words = one.SerializeToString(deterministic=True)
                    self.endpoints[one.addr.SerializeToString()] = words, shared
            elif update.HasField("remove"):
                for address in update.remove.addrs:
                    self.endpoints.pop(address.SerializeToString(), None)
            else:
                self.endpoints.clear()
            self.was_empty |= not self.endpoints
        return self


def _add(hosts: list[str], shared: str, label: str) -> bytes:
    addrs = [made.weighted(host, 80, labels={"pod": label}) for host in hosts]
    labels = {"service": shared} if shared else {}
    update = messages.Update(add=messages.WeightedAddrSet(addrs=addrs, metric_labels=labels))
    return update.SerializeToString()


_hosts = st.lists(st.sampled_from(HOSTS), min_size=1, max_size=3, unique=True)
_updates = st.lists(
    st.one_of(
        st.builds(_add, _hosts, st.sampled_from(["", "a", "b"]), st.sampled_from(["x", "y"])),
        _hosts.map(lambda hosts: made.remove(*((host, 80) for host in hosts)).SerializeToString()),
        st.just(made.no_endpoints(exists=True).SerializeToString()),
    ),
    max_size=6,
)


def remembered(updates: list[bytes]) -> Endpoints:
    memory = Endpoints()
    for update in updates:
        memory.take(update)
    return memory


@given(updates=_updates)
def test_who_begins_later_knows_the_same(updates: list[bytes]) -> None:
    memory = remembered(updates)
    assert Balancer().hear(*memory.snapshot()).endpoints == Balancer().hear(*updates).endpoints


@given(before=_updates, after=_updates)
def test_the_difference_leads_from_one_set_to_the_other(
    before: list[bytes], after: list[bytes]
) -> None:
    proxy, now = Balancer().hear(*before), Balancer().hear(*after)
    had_some = bool(proxy.endpoints)
    proxy.was_empty = False
    proxy.hear(*remembered(after).since(remembered(before)))
    assert proxy.endpoints == now.endpoints
    if had_some and now.endpoints:
        assert not proxy.was_empty


@given(updates=_updates)
def test_nothing_is_said_when_nothing_is_different(updates: list[bytes]) -> None:
    memory = remembered(updates)
    assert memory.since(memory) == ()
    again = remembered(list(memory.snapshot()))
    assert again.since(memory) == ()


def test_of_an_answer_that_is_replaced_the_last_is_remembered() -> None:
    memory, other = Latest(), Latest()
    assert memory.snapshot() == ()
    memory.take(b"old")
    memory.take(b"new")
    assert memory.snapshot() == (b"new",)
    assert memory.since(other) == (b"new",)
    other.take(b"new")
    assert memory.since(other) == ()
