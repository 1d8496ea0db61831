"""What a head says of its trace, in each way of saying it, and how it is said to whoever is next."""

import pytest

from linkerd2_py._ext.observers.testing import read, renamed

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SHORT = "a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
OURS = "0123456789abcdef"
W3C = f"00-{TRACE}-{SPAN}-01"
FIELDS = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}


def fields(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in values.items()]


def of(named: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in named.items()]


@pytest.mark.parametrize(
    ("said", "sampled"),
    [
        ({"traceparent": W3C}, True),
        ({"TraceParent": W3C.upper()}, True),
        ({"traceparent": f"00-{TRACE}-{SPAN}-00"}, False),
        ({"traceparent": f"00-{TRACE}-{SPAN}-fd"}, True),
        ({"traceparent": f"00-{TRACE}-{SPAN}-02"}, False),
        (FIELDS | {"x-b3-sampled": "1"}, True),
        (FIELDS | {"x-b3-sampled": "true"}, True),
        (FIELDS | {"X-B3-Sampled": "0"}, False),
        (FIELDS | {"x-b3-flags": "1"}, True),
        (FIELDS, False),
        ({"b3": f"{TRACE}-{SPAN}-1"}, True),
        ({"b3": f"{TRACE}-{SPAN}-d"}, True),
        ({"b3": f"{TRACE}-{SPAN}-0"}, False),
        ({"b3": f"{TRACE}-{SPAN}-1-{SHORT}"}, True),
        ({"b3": f"{TRACE}-{SPAN}"}, False),
    ],
)
def test_each_way_of_saying_it_is_understood(said: dict[str, str], sampled: bool) -> None:
    passed_on = renamed(of(said), bytes.fromhex(OURS))
    if not sampled:
        assert read(of(said)) == (b"", b"", False)
        assert passed_on is None
        return
    assert read(of(said)) == (bytes.fromhex(TRACE), bytes.fromhex(SPAN), True)
    assert passed_on is not None
    assert read(passed_on) == (bytes.fromhex(TRACE), bytes.fromhex(OURS), True)
    before = b"\n".join(value for _, value in of(said))
    after = b"\n".join(value for _, value in passed_on)
    assert after.replace(OURS.encode(), SPAN.encode()).lower() == before.lower()


@pytest.mark.parametrize(
    "said",
    [
        {"b3": f"{SHORT}-{SPAN}-1"},
        {"x-b3-traceid": SHORT, "x-b3-spanid": SPAN, "x-b3-sampled": "1"},
    ],
)
def test_a_short_trace_of_b3_is_filled_up(said: dict[str, str]) -> None:
    assert read(of(said)) == (bytes(8) + bytes.fromhex(SHORT), bytes.fromhex(SPAN), True)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"traceparent": ""},
        {"traceparent": W3C[:-1]},
        {"traceparent": W3C + "0"},
        {"traceparent": "01" + W3C[2:]},
        {"traceparent": "ff" + W3C[2:]},
        {"traceparent": W3C.replace("f", "g")},
        {"traceparent": W3C.replace("-", "_")},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
        {"traceparent": f"00-{TRACE}-{SPAN}-0x"},
        {"x-b3-traceid": TRACE, "x-b3-sampled": "1"},
        {"x-b3-spanid": SPAN, "x-b3-sampled": "1"},
        {"x-b3-traceid": TRACE[1:], "x-b3-spanid": SPAN, "x-b3-sampled": "1"},
        {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN[1:], "x-b3-sampled": "1"},
        {"x-b3-traceid": "0" * 32, "x-b3-spanid": SPAN, "x-b3-sampled": "1"},
        {"b3": "0"},
        {"b3": "1"},
        {"b3": f"{TRACE}-{SPAN}-"},
        {"b3": f"{TRACE}-{SPAN}1"},
        {"b3": f"{TRACE}-{SPAN}-1{SHORT}"},
        {"b3": f"{TRACE}{SPAN}-1"},
        {"b3": f"{TRACE}-{SPAN[1:]}"},
        {"tracestate": "a=b", "grpc-trace-bin": "AAAA"},
    ],
)
def test_what_is_not_sound_says_nothing(said: dict[str, str]) -> None:
    assert read(of(said)) is None
    assert renamed(of(said), bytes.fromhex(OURS)) is None


def test_of_two_w3c_counts_and_of_two_traceparents_none() -> None:
    both = {"b3": f"{SHORT}-{SPAN}-0", "traceparent": W3C, **FIELDS}
    assert read(of(both)) == (bytes.fromhex(TRACE), bytes.fromhex(SPAN), True)
    passed_on = dict(renamed(of(both), bytes.fromhex(OURS)) or [])
    assert passed_on[b"traceparent"] == f"00-{TRACE}-{OURS}-01".encode()
    assert passed_on[b"b3"] == both["b3"].encode()
    assert passed_on[b"x-b3-spanid"] == SPAN.encode()
    assert read([*of({"traceparent": W3C}), *of({"traceparent": W3C})]) is None
    malformed = {**both, "traceparent": "00-x", "x-b3-sampled": "1"}
    assert read(of(malformed)) == (bytes.fromhex(TRACE), bytes.fromhex(SPAN), True)
