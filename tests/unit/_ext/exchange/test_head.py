"""What names and numbers in heads mean to the engine."""

import pytest

from linkerd2_py._ext.http1.testing import drop_and_find, length_of, name_id, put_values

KNOWN = (
    b"host connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade "
    b"content-length content-type expect grpc-status grpc-message http2-settings l5d-orig-proto l5d-proxy-error l5d-proxy-connection "
    b"l5d-client-id l5d-require-id"
).split()


def test_known_names_have_ids_of_their_own_in_any_case() -> None:
    ids = [name_id(name) for name in KNOWN]
    assert len(set(ids)) == len(KNOWN)
    assert 0 not in ids
    assert [name_id(name.upper()) for name in KNOWN] == ids


@pytest.mark.parametrize("name", KNOWN)
def test_a_name_that_is_one_byte_off_is_another_name(name: bytes) -> None:
    for other in (name + b"x", name[:-1], b"x" + name[1:], name[:-1] + b"~"):
        assert name_id(other) != name_id(name)


def test_every_name_of_ours_is_known_as_ours() -> None:
    ours = name_id(b"l5d-server-id")
    assert ours
    for name in (
        b"l5d-x",
        b"L5D-remote-ip",
        b"l5d-abcde",
        b"l5d-abcdef",
        b"l5d-abcdefgh",
        b"l5d-" + b"y" * 100,
    ):
        assert name_id(name) == ours
    assert name_id(b"l5d-") == 0
    assert name_id(b"xl5d-a") == 0


def test_lengths_are_digits_only() -> None:
    assert length_of(b"0") == 0
    assert length_of(b"007") == 7
    assert length_of(b"9" * 18) == 10**18 - 1
    for value in (b"", b"9" * 19, b"+1", b"-1", b" 1", b"1 ", b"0x1", b"1_0", b"1e3", b"\xd9\xa1"):
        assert length_of(value) == -1


def test_copies_stay_where_they_are_while_more_are_made() -> None:
    values = [bytes([n]) * (n * 37 % 900) for n in range(100)]
    assert put_values(values) == values
    large = [b"a" * 10_000, b"b" * 30_000, b"c" * 20_000]
    assert put_values(large) == large


def test_copies_are_bounded() -> None:
    most = 8 << 20
    assert put_values([b"x" * most]) == [b"x" * most]
    for values in ([b"x" * (most + 1)], [b"x" * 40_000, b"y" * (most - 39_999)]):
        with pytest.raises(ValueError, match="8 MiB"):
            put_values(values)


def test_dropped_fields_are_not_found() -> None:
    names = [b"Host", b"X", b"TE", b"te", b"Upgrade"]
    assert drop_and_find(names, b"te", b"te") == (2, None, False)
    assert drop_and_find(names, b"te", b"upgrade") == (2, 4, True)
    assert drop_and_find(names, b"expect", b"host") == (0, 0, True)
    assert drop_and_find(names, b"expect", b"expect") == (0, None, False)
