"""What a DNS name is to the engine, and when two are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.core.testing import are_same_name, is_name
from linkerd2_py.proxy.addresses import is_host_name

LABEL = b"a" * 63
LONGEST = b".".join([LABEL, LABEL, LABEL, b"a" * 61])


@pytest.mark.parametrize(
    "name",
    [
        b"a",
        b"7.a",
        b"web.emojivoto.serviceaccount.identity.linkerd.cluster.local",
        b"WEB-1.Example.COM",
        b"_grpc._tcp.example",
        b"a--b.xn--9ca",
        b"1-2",
        LABEL,
        LONGEST,
    ],
)
def test_a_name(name: bytes) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b".",
        b"a.",
        b".a",
        b"a..b",
        b"-a",
        b"a-",
        b"a.-b",
        b"a-.b",
        b"*.example",
        b"a b",
        b"a\0",
        b"\0a",
        b"a\0.example",
        b"a/b",
        b"a:80",
        b"[a]",
        b"a@b",
        b"a`",
        b"a{",
        b"\xe9.example",
        b"a\xff",
        b"10.0.0.1",
        b"fd00::1",
        b"a.7",
        b"7",
        LABEL + b"a",
        LONGEST + b"a",
        b"." * 300,
    ],
)
def test_no_name(name: bytes) -> None:
    assert not is_name(name)


@given(st.text(st.sampled_from("aZ09-_.\0 é"), max_size=9).map(str.encode))
def test_the_engine_and_the_shell_agree_but_for_addresses_and_the_final_dot(name: bytes) -> None:
    text = name.decode()
    is_number = text.rpartition(".")[2].isdecimal()
    assert is_name(name) == (is_host_name(text) and not text.endswith(".") and not is_number)


def test_case_is_no_difference() -> None:
    assert are_same_name(b"Web.EXAMPLE.com", b"wEB.example.COM")
    assert are_same_name(b"", b"")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"web", b"web."),
        (b"web", b"we"),
        (b"web", b"wec"),
        (b"web\0", b"web"),
        (b"a@b", b"a`b"),
        (b"a[b", b"a{b"),
        (b"a_b", b"a\x7fb"),
        (b"\xc9", b"\xe9"),
    ],
)
def test_other_differences_are(one: bytes, other: bytes) -> None:
    assert not are_same_name(one, other)
    assert not are_same_name(other, one)
