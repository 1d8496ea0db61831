"""Bound addresses: refusals, and what leads back to us."""

import errno
import logging

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py.base.clock import ManualClock
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.config.table import OUTBOUND_LISTEN_ADDR
from linkerd2_py.proxy.listeners import ListenError, Listening, listen, stranger_log


def test_where_it_really_listens() -> None:
    bound = listen(
        lambda host, _: Address(host, 4242),
        SocketAddr("127.0.0.1", 0),
        setting=OUTBOUND_LISTEN_ADDR,
    )
    assert bound == SocketAddr("127.0.0.1", 4242)


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES])
def test_a_refusal_names_the_address_and_the_variable(number: int) -> None:
    def bind(host: str, port: int) -> Address:
        raise OSError(number, "no")

    with pytest.raises(ListenError) as caught:
        listen(bind, SocketAddr("127.0.0.1", 4140), setting=OUTBOUND_LISTEN_ADDR)
    text = str(caught.value)
    assert text.startswith("LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR: cannot listen on 127.0.0.1:4140: ")
    assert "\n" not in text
    assert ("choose another" in text) == (number != errno.EACCES)


def bound(**addresses: object) -> Listening:
    listening = Listening()
    for name, found in addresses.items():
        assert hasattr(listening, name)
        setattr(listening, name, found)
    return listening


def test_our_outbound_listeners_lead_back() -> None:
    listening = bound(
        outbound=[SocketAddr("127.0.0.1", 4140)],
        outbound_static=[(SocketAddr("127.0.0.2", 31001), "web:80")],
        inbound=[SocketAddr("127.0.0.1", 4143)],
    )
    assert listening.leads_back(SocketAddr("127.0.0.1", 4140))
    assert listening.leads_back(SocketAddr("127.0.0.2", 31001))
    assert not listening.leads_back(SocketAddr("127.0.0.1", 4143))
    assert not listening.leads_back(SocketAddr("127.0.0.3", 4140))


def test_a_listener_on_all_addresses_is_reached_at_each() -> None:
    listening = bound(outbound=[SocketAddr("0.0.0.0", 4140)])
    assert listening.leads_back(SocketAddr("127.0.0.1", 4140))
    assert listening.leads_back(SocketAddr("127.1.2.3", 4140))
    assert not listening.leads_back(SocketAddr("192.0.2.1", 4140))


def test_inbound_must_not_come_back_to_itself_or_go_out_again() -> None:
    listening = bound(
        outbound=[SocketAddr("127.0.0.1", 4140)],
        inbound=[SocketAddr("::", 4143)],
        inbound_static=[(SocketAddr("127.0.0.1", 8080), "127.0.0.1:30001")],
    )
    assert listening.is_ours(SocketAddr("127.0.0.1", 4143))
    assert listening.is_ours(SocketAddr("127.0.0.1", 4140))
    assert not listening.is_ours(SocketAddr("127.0.0.1", 8080))
    assert not listening.is_ours(SocketAddr("192.0.2.1", 4143))


def test_the_line_and_the_json() -> None:
    listening = bound(
        outbound=[SocketAddr("127.0.0.1", 1), SocketAddr("::1", 2)],
        inbound=[SocketAddr("0.0.0.0", 3)],
        outbound_static=[(SocketAddr("127.0.0.2", 4), "web:80")],
        inbound_static=[(SocketAddr("127.0.0.3", 5), "127.0.0.3:6")],
        admin=SocketAddr("127.0.0.1", 7),
    )
    assert str(listening) == (
        "outbound=127.0.0.1:1,[::1]:2 inbound=0.0.0.0:3 outbound-static=127.0.0.2:4=web:80 "
        "inbound-static=127.0.0.3:5=127.0.0.3:6 admin=127.0.0.1:7"
    )
    assert listening.as_json() == {
        "outbound": ["127.0.0.1:1", "[::1]:2"],
        "inbound": ["0.0.0.0:3"],
        "outbound_static": [{"listen": "127.0.0.2:4", "target": "web:80"}],
        "inbound_static": [{"listen": "127.0.0.3:5", "target": "127.0.0.3:6"}],
        "admin": "127.0.0.1:7",
    }


def test_strangers_at_our_own_port_are_told_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    tell = stranger_log(logging.getLogger("inbound"), clock=clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            tell(Address("192.0.2.1", 4711))
        clock.advance(1)
        tell(None)
    first, second = caplog.messages
    assert first.startswith("192.0.2.1 was reset: it came straight to the proxy's own inbound port")
    assert second.startswith("a client was reset (2 more since the last line): it came straight")
