"""The name in a ClientHello: of every client, in every cut, and every way to be refused."""

import pytest

from linkerd2_py._ext.detect.testing import HELLO_MAX, find_server_name
from tests.support.client_hello import (
    KEY_SHARE,
    PADDING,
    Answer,
    client_context,
    cut,
    extensions,
    handshake_of,
    hello_of,
    host_name,
    in_records,
    message,
    named,
    record,
    seen_by_ssl,
    server_name,
    vector,
)

NAME = b"web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
FOUND = ("name", NAME)
NO_NAME = ("no name", b"")
MORE = ("more", b"")
BROKEN = ("broken", b"")
OTHER = (10, vector(b"\x00\x1d"))
POST_QUANTUM = (
    KEY_SHARE,
    vector(b"\x11\xec" + vector(bytes(1216)) + b"\0\x1d" + vector(bytes(32))),
)
GOOD = message(extensions(OTHER, named(NAME), POST_QUANTUM))
# Whatever is before it: type 1, length 3, version and random 34, session 33, ciphers 6, compressions 2.
EXTENSIONS_AT = 79


def verdict(hello: bytes) -> tuple[Answer, int]:
    """The first answer other than `more`, which is that of the whole, and how many bytes it took."""
    for count in range(len(hello) + 1):
        if (found := find_server_name(hello[:count])) != MORE:
            assert find_server_name(hello) == found
            return found, count
    return MORE, len(hello)


def whole(*content: tuple[int, bytes]) -> bytes:
    return in_records(message(extensions(*content)))


# ---- clients


@pytest.mark.parametrize("name", ["a", "web.test", "WEB.Test", "_x.web-1.test", NAME.decode()])
@pytest.mark.parametrize("tls12", [False, True])
def test_the_name_that_a_client_asks_for_byte_by_byte(name: str, tls12: bool) -> None:
    hello = hello_of(client_context(tls12=tls12), name)
    assert verdict(hello) == (("name", name.encode()), len(hello))


@pytest.mark.parametrize("address", ["192.0.2.1", "fd00::1"])
def test_a_client_that_knows_only_an_address_names_nobody(address: str) -> None:
    hello = hello_of(client_context(), address)
    assert verdict(hello) == (NO_NAME, len(hello))


def test_extensions_of_a_client_around_the_name_do_not_matter() -> None:
    context = client_context(alpn=["transport.l5d.io/v1", "h2"], ciphers="ALL", padded=True)
    assert find_server_name(hello_of(context, NAME.decode())) == FOUND


def test_a_client_hello_of_twenty_kilobytes_byte_by_byte() -> None:
    protocols = [f"{n:03d}".ljust(200, "x") for n in range(100)]
    hello = hello_of(client_context(alpn=protocols), NAME.decode())
    assert len(hello) > 20_000
    assert len(hello) - len(handshake_of(hello)) == 10
    assert verdict(hello) == (FOUND, len(hello))


def test_a_client_hello_with_a_post_quantum_share() -> None:
    hello = in_records(GOOD)
    assert len(hello) > 1400
    assert verdict(hello) == (FOUND, len(hello))


def test_a_client_without_extensions_names_nobody() -> None:
    assert verdict(in_records(message(b""))) == (NO_NAME, 5 + EXTENSIONS_AT)
    assert verdict(whole()) == (NO_NAME, 5 + EXTENSIONS_AT + 2)
    assert find_server_name(whole(OTHER)) == NO_NAME


def test_session_ids_and_versions_say_nothing() -> None:
    for session_id in (b"", bytes(1), bytes(32)):
        handshake = message(extensions(named(NAME)), session_id=session_id)
        for version in (b"\x03\x00", b"\x03\x04", b"\x03\xff"):
            assert find_server_name(record(handshake, version=version)) == FOUND


def test_only_the_host_name_of_several_names_counts() -> None:
    future = b"\x07" + vector(b"whatever\0")
    assert find_server_name(whole(server_name(future, host_name(NAME), future))) == FOUND
    assert find_server_name(whole(server_name(future))) == NO_NAME


@pytest.mark.parametrize("rest", [b"\0", b"GET / HTTP/1.1", in_records(GOOD), record(b"", kind=20)])
def test_what_follows_stays_unread(rest: bytes) -> None:
    for hello in (in_records(GOOD), in_records(message(b""))):
        assert find_server_name(hello + rest) == find_server_name(hello)


def test_what_follows_in_the_same_record_stays_unread() -> None:
    assert find_server_name(record(GOOD + b"\0\xff")) == FOUND


# ---- records


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 1000])
def test_records_of_any_size_carry_the_message(size: int) -> None:
    hello = in_records(GOOD, of=size)
    assert find_server_name(hello) == FOUND == seen_by_ssl(hello)


def test_two_records_cut_the_message_anywhere() -> None:
    handshake = message(extensions(OTHER, named(NAME), OTHER))
    for at in range(1, len(handshake)):
        hello = cut(handshake, at=[at])
        assert find_server_name(hello) == FOUND
        assert find_server_name(hello[:-1]) == MORE


def test_a_name_in_pieces_byte_by_byte() -> None:
    start = GOOD.index(NAME)
    hello = cut(GOOD, at=[start + 1, start + 20, start + 21, start + len(NAME) - 1])
    assert verdict(hello) == (FOUND, len(hello))


@pytest.mark.parametrize(
    ("second", "decided_at"),
    [
        (record(GOOD[50:], kind=23), 1),
        (record(b"\x01\x00", kind=21), 1),
        (record(b"\x01", kind=20), 1),
        (record(GOOD[50:], version=b"\x02\x00"), 2),
        (record(b"") + record(GOOD[50:]), 5),
        (b"\x16\x03\x03\x40\x01" + bytes(16385), 5),
        (GOOD[50:], 1),
    ],
)
def test_a_record_that_does_not_belong_there(second: bytes, decided_at: int) -> None:
    assert verdict(record(GOOD[:50]) + second) == (BROKEN, 55 + decided_at)


@pytest.mark.parametrize(
    ("first", "decided_at"),
    [
        (b"GET / HTTP/1.1\r\n", 1),
        (b"\x17\x03\x03\x00\x10", 1),
        (b"\x80\x2e\x01\x03\x01", 1),
        (b"\x16\xfe\xfd\x00\x10", 2),
        (b"\x16\x03\x01\x00\x00", 5),
        (b"\x16\x03\x01\x40\x01", 5),
        (b"\x16\x03\x01\x00\x10\x02", 6),
        (b"\x16\x03\x01\x00\x10\x00", 6),
    ],
)
def test_first_bytes_of_something_else(first: bytes, decided_at: int) -> None:
    assert verdict(first + bytes(50)) == (BROKEN, decided_at)


# ---- what does not add up


def shortened(handshake: bytes, by: int) -> bytes:
    """The message ends earlier, by its own account; the rest of it comes all the same."""
    length = int.from_bytes(handshake[1:4]) - by
    return handshake[:1] + length.to_bytes(3) + handshake[4:]


@pytest.mark.parametrize(
    ("handshake", "decided_at"),
    [
        (b"\x01" + vector(bytes(33), 3), 4),
        (b"\x01" + vector(bytes(34), 3), 38),
        (message(b"", session_id=bytes(33)), 39),
        (message(b"", ciphers=b""), 73),
        (message(b"", ciphers=b"\x13\x01\x13"), 73),
        (message(b"", compressions=b""), 78),
        (shortened(message(b""), 1), 78),
        (shortened(message(b""), 2), 77),
        (shortened(message(b""), 40), 39),
        (message(b"\0"), EXTENSIONS_AT),
        (message(b"\0\x01"), EXTENSIONS_AT + 2),
        (message(b"\0\x00\0"), EXTENSIONS_AT + 2),
        (message(b"\0\x03\0\0\0"), EXTENSIONS_AT + 2),
        (message(b"\0\x04\0\x0a\0\x01"), EXTENSIONS_AT + 6),
        (message(b"\0\x04\0\x00\0\x01"), EXTENSIONS_AT + 6),
        (message(extensions(OTHER, named(NAME))[:-1]), EXTENSIONS_AT + 2),
        (message(vector(extensions(named(NAME))[2:-1])) + NAME[-1:], EXTENSIONS_AT + 6),
        (shortened(GOOD, 1), EXTENSIONS_AT + 2),
    ],
)
def test_lengths_that_do_not_add_up(handshake: bytes, decided_at: int) -> None:
    assert verdict(record(handshake + bytes(60))) == (BROKEN, 5 + decided_at)


@pytest.mark.parametrize(
    ("content", "decided_at"),
    [
        (b"", 0),
        (b"\0", 0),
        (b"\0\0", 2),
        (vector(b"\0"), 3),
        (vector(b"\0\0"), 3),
        (vector(b"\0\0\0"), 5),
        (vector(b"\0\0\2a"), 5),
        (vector(host_name(b"a") + b"\0"), 7),
        (vector(host_name(b"a")) + b"\0", 2),
        (b"\0\x03" + host_name(b"a"), 2),
        (b"\0\x05" + host_name(b"a"), 2),
        (vector(host_name(b"a") + host_name(b"a")), 9),
        (vector(host_name(b"a") + b"\x07\0\x01"), 9),
        (vector(b"\x07\0"), 3),
        (vector(host_name(b"")), 5),
        (vector(host_name(b"a" * 254)), 5),
    ],
)
def test_a_server_name_that_does_not_add_up(content: bytes, decided_at: int) -> None:
    hello = whole((0, content), (PADDING, bytes(300)))
    assert verdict(hello) == (BROKEN, 5 + EXTENSIONS_AT + 6 + decided_at)


def test_a_server_name_twice() -> None:
    for second in (named(NAME), server_name(b"\x07\0\0"), (0, b"")):
        hello = whole(named(NAME), OTHER, second, (PADDING, bytes(9)))
        first = len(extensions(named(NAME), OTHER))
        assert verdict(hello) == (BROKEN, 5 + EXTENSIONS_AT + first + 4)
    hello = whole(server_name(b"\x07\0\0"), named(NAME))
    assert find_server_name(hello) == BROKEN


@pytest.mark.parametrize(
    "name",
    [
        b"web\0.test",
        b"web.test\0",
        b"*.test",
        b"web.test.",
        b"web..test",
        b"-web.test",
        b"192.0.2.1",
        b"[fd00::1]",
        b"web test",
        b"w\xc3\xa9b.test",
        b"web.test:443",
        b"a" * 64,
        b"\xff",
    ],
)
def test_a_name_that_is_none(name: bytes) -> None:
    hello = whole(named(name), OTHER)
    assert verdict(hello) == (BROKEN, 5 + EXTENSIONS_AT + 11 + len(name))


def test_the_longest_name_there_is() -> None:
    name = b".".join([b"a" * 63] * 3 + [b"a" * 61])
    assert find_server_name(whole(named(name))) == ("name", name)


# ---- how long we listen


def of_size(size: int) -> bytes:
    """A message of that many bytes."""
    padding = size - len(message(extensions(named(NAME), (PADDING, b""))))
    return message(extensions(named(NAME), (PADDING, bytes(padding))))


def test_a_client_hello_may_fill_the_bound_exactly() -> None:
    headers = 4 * 5
    hello = in_records(of_size(HELLO_MAX - headers))
    assert len(hello) == HELLO_MAX
    assert find_server_name(hello) == FOUND
    assert find_server_name(hello[:-1]) == MORE


def test_nothing_beyond_the_bound_is_waited_for() -> None:
    hello = in_records(of_size(HELLO_MAX - 19))
    assert len(hello) == HELLO_MAX + 1
    assert find_server_name(hello[: HELLO_MAX - 1]) == MORE
    assert find_server_name(hello[:HELLO_MAX]) == BROKEN
    assert find_server_name(hello) == BROKEN


def test_headers_of_records_count() -> None:
    hello = in_records(of_size(60_000), of=50)
    assert find_server_name(hello[: HELLO_MAX - 1]) == MORE
    assert find_server_name(hello) == BROKEN


@pytest.mark.parametrize("length", [HELLO_MAX - 8, HELLO_MAX, 0xFFFFFF])
def test_a_message_that_cannot_fit_is_refused_at_its_length(length: int) -> None:
    assert verdict(record(b"\x01" + length.to_bytes(3) + bytes(50))) == (BROKEN, 9)


def test_a_message_that_just_fits_one_record_is_waited_for() -> None:
    assert find_server_name(record(b"\x01" + (HELLO_MAX - 9).to_bytes(3) + bytes(36))) == MORE
