"""Addresses and socket options as values."""

import socket

import pytest

from linkerd2_py._ext.io.address import Address, SocketOptions
from linkerd2_py._ext.io.testing import original_destination


def test_text_forms():
    assert str(Address("10.0.0.1", 80)) == "10.0.0.1:80"
    assert str(Address("::1", 80)) == "[::1]:80"
    assert repr(Address("::1", 80)) == "Address('::1', 80)"


def test_ipv6_text_is_canonical():
    assert Address("0:0:0:0:0:0:0:1", 80) == Address("::1", 80)
    assert hash(Address("0:0:0:0:0:0:0:1", 80)) == hash(Address("::1", 80))


def test_a_link_local_address_says_on_which_interface_it_is():
    near = Address("fe80:0::1%7", 80)
    assert (near.host, str(near)) == ("fe80::1%7", "[fe80::1%7]:80")
    assert near == Address("fe80::1%7", 80)
    assert near != Address("fe80::1%8", 80)
    assert near != Address("fe80::1", 80)


def test_equality_is_by_value():
    assert Address("10.0.0.1", 80) == Address("10.0.0.1", 80)
    assert Address("10.0.0.1", 80) != Address("10.0.0.1", 81)
    assert Address("10.0.0.1", 80) != Address("10.0.0.2", 80)
    assert Address("::1", 80) != Address("127.0.0.1", 80)
    assert Address("::1", 80) != "::1:80"
    assert len({Address("10.0.0.1", 80), Address("10.0.0.1", 80)}) == 1


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "10.0.0.256",
        "10.0.0",
        "::1%lo",
        "\N{SNOWMAN}",
        "fe80::1%lo",
        "fe80::1%",
        "fe80::1%0",
        "fd00::1%2",
        "10.0.0.1%2",
    ],
)
def test_what_is_no_address_is_refused(host):
    with pytest.raises(ValueError, match="not an IPv4 or IPv6 address"):
        Address(host, 80)


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(ValueError, match="between 0 and 65535"):
        Address("10.0.0.1", port)


def test_fields_cannot_be_changed():
    with pytest.raises(AttributeError):
        Address("10.0.0.1", 80).port = 81
    with pytest.raises(AttributeError):
        SocketOptions().keepalive_s = 1


@pytest.mark.parametrize("field", ["keepalive_s", "user_timeout_ms"])
@pytest.mark.parametrize("value", [-1, 2**31])
def test_options_out_of_range_are_refused(field, value):
    with pytest.raises(ValueError if value < 0 else (ValueError, OverflowError)):
        SocketOptions(**{field: value})


def test_a_connection_that_was_not_redirected_has_no_original_destination():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0] as ours,
    ):
        assert original_destination(ours.fileno()) is None


def test_ipv6_without_redirection_has_none_either():
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as server,
        socket.create_connection(server.getsockname()[:2]),
        server.accept()[0] as ours,
    ):
        assert original_destination(ours.fileno()) is None


def test_what_is_no_socket_has_no_original_destination():
    assert original_destination(-1) is None
    left, right = socket.socketpair()
    with left, right:
        assert original_destination(left.fileno()) is None
