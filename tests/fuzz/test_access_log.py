"""Whatever bytes a request is made of, its line is one line of printable ASCII that a reader of the format
understands, and says what was sent.
"""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.observers.access_log import AccessLog
from linkerd2_py._ext.observers.lines import Lines
from linkerd2_py._ext.observers.testing import LINE_MOST, line, time_text

reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
PEERS = [None, Address("10.1.2.3", 4), Address("fd00::1", 65535)]
ROOM = {"method": 64, "uri": 2048, "host": 256, "user_agent": 512, "trace_id": 128}
KEYS = [
    *("client.addr", "client.id", "host", "method", "processing_ns", "request_bytes"),
    *("response_bytes", "status", "timestamp", "total_ns", "trace_id", "uri", "user_agent"),
    "version",
]
# As readers of Apache's logs take one apart: a backslash takes the next byte with it.
APACHE = re.compile(
    rb"(?P<peer>\S+) (?P<identity>\S+) - \[(?P<time>[^\]]+)\] "
    rb'"(?P<method>(?:[^"\\ ]|\\.)*) (?P<uri>(?:[^"\\ ]|\\.)*) (?P<version>HTTP/[0-9.]+)" (?P<status>\d{3}|-)\n'
)
ESCAPED = re.compile(rb'\\(?:x([0-9a-f]{2})|(["\\]))')
raw = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b'"', b"\\", b"\n", b'" 200\n10.0.0.1 - - [', b"\x1b]0;x\x07", b"\xc2\x9b"]),
    st.integers(0, 255).flatmap(lambda byte: st.just(bytes([byte]) * 3000)),
    st.text(max_size=40).map(str.encode),
)
heads = st.fixed_dictionaries(
    {
        "method": raw,
        "authority": raw,
        "path": raw,
        "http2": st.booleans(),
        "fields": st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        b"User-Agent",
                        b"host",
                        b"x-b3-traceid",
                        b"X-Request-Id",
                        b"x-amzn-trace-id",
                        b"a",
                    ]
                ),
                raw,
            ),
            max_size=6,
        ),
        "peer": st.sampled_from(PEERS),
        "identity": st.none() | raw,
        "status": st.sampled_from([0, 100, 200, 599]),
        "wall_ns": st.integers(0, 4_000_000_000_000_000_000),
        "content_length": st.integers(-1, 2**62),
        "response_length": st.integers(-1, 2**62),
    }
)


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """A loop, and lines on it."""
    with (
        closing(Loop()) as loop,
        closing(Lines(loop, Registry(), fd=2, room=1 << 16)) as lines,
    ):
        made = [loop, lines]
        yield made
    # Their timer is counted among what a test leaves behind, and fixtures outlive that count.
    made.clear()


def first(fields: list[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value for field, value in fields if field.lower() == name), None)


def uri_of(head: dict) -> bytes:
    if not head["http2"]:
        return head["path"]
    if head["method"] == b"CONNECT":
        return head["authority"]
    # No name is as long as what is cut here; nothing reaches this that has one.
    return b"http://" + head["authority"][:257] + head["path"]


def trace_of(fields: list[tuple[bytes, bytes]]) -> bytes:
    found = [first(fields, name) for name in (b"x-b3-traceid", b"x-request-id", b"x-amzn-trace-id")]
    return next((one for one in found if one is not None), b"")


def same(told: bytes, sent: bytes) -> bool:
    """All of it, or as much as there is room for."""
    if told == sent:
        return True
    return told.endswith(b"...") and sent.startswith(told[:-3]) and len(sent) > len(told) - 3


@reuse
@given(head=heads)
def test_a_line_of_json_is_an_object_that_says_what_was_sent(log, head) -> None:
    text = line(*log, json=True, **head)
    assert len(text) <= LINE_MOST
    assert text.endswith(b"\n") and all(32 <= byte < 127 for byte in text[:-1])
    found = json.loads(text)
    absent = {"response_bytes"} if head["response_length"] < 0 else set()
    absent |= {"status"} if head["status"] == 0 else set()
    assert list(found) == [key for key in KEYS if key not in absent]
    assert found.get("status", 0) == head["status"]
    assert found["version"] == ("HTTP/2.0" if head["http2"] else "HTTP/1.1")
    assert found["client.addr"] == ("-" if head["peer"] is None else str(head["peer"]))
    length = head["content_length"]
    assert found["request_bytes"] == ("" if length < 0 else str(length))
    told = {key: found[key].encode("latin-1") for key in (*ROOM, "client.id")}
    fields = head["fields"]
    host, agent = first(fields, b"host"), first(fields, b"user-agent")
    assert same(told["method"], head["method"])
    assert same(told["uri"], uri_of(head))
    assert same(told["host"], head["authority"] if host is None else host)
    assert same(told["user_agent"], agent or b"") or agent == b""
    assert same(told["trace_id"], trace_of(fields))
    assert same(told["client.id"], head["identity"] or b"-")
    for key, room in ROOM.items():
        assert len(json.dumps(found[key])) - 2 <= room


def unescaped(text: bytes) -> bytes:
    return ESCAPED.sub(
        lambda found: bytes([int(found[1], 16)]) if found[1] else bytes(found[2]), text
    )


@reuse
@given(head=heads)
def test_a_line_of_apache_is_taken_apart_as_it_was_put_together(log, head) -> None:
    text = line(*log, json=False, **head)
    assert len(text) <= LINE_MOST
    assert text.endswith(b"\n") and all(32 <= byte < 127 for byte in text[:-1])
    found = APACHE.fullmatch(text)
    assert found is not None
    assert same(unescaped(found["method"]), head["method"])
    assert same(unescaped(found["uri"]), uri_of(head))
    assert found["status"] == (b"-" if head["status"] == 0 else b"%d" % head["status"])
    assert same(unescaped(found["identity"]), head["identity"] or b"-")


@reuse
@given(seconds=st.integers(0, 4_000_000_000), nanoseconds=st.integers(0, 999_999_999))
def test_times_are_rfc_3339(log, seconds: int, nanoseconds: int) -> None:
    found = time_text(AccessLog(*log, json=True), seconds * 1_000_000_000 + nanoseconds).decode()
    assert found.endswith(f".{nanoseconds:09d}Z")
    assert datetime.fromisoformat(found[:19] + "+00:00") == datetime.fromtimestamp(seconds, UTC)
