"""Hostile heads are accepted or refused alike, whatever carries them, whole and in pieces; and nobody
independent is stricter.
"""

import asyncio

import h2.config
import h2.connection
import h2.exceptions
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.support.carriers import CARRIERS, HTTP1, HTTP2, WITHIN, Message, Verdict, judged
from tests.support.engine import engine
from tests.support.http1_oracles import Refused, by_h11

# Bytes that have meant different things to different readers. CR with LF, a colon in a name and white space
# around a value make another message of HTTP/1,
# and letters in upper case none of HTTP/2.
ODD = [
    bytes([byte])
    for byte in b"\0\x01\t\n\x0b\r\x1f \"#%&'()*+,-./:;<=>?@[\\]^_`{|}~\x7f\x80\x85\xa0\xc3\xff"
]
ODD += [
    b"a",
    b"svc.test",
    b"::1",
    b"80",
    b"99999",
    b"l5d-client-id",
    b"l5d_client_id",
    b"%0d%0a",
    b"http://",
    b"..",
]


def words(*, without: bytes = b"", first: bytes = b"") -> st.SearchStrategy[bytes]:
    pieces = [piece for piece in ODD if not any(byte in piece for byte in without)]
    return st.lists(st.sampled_from(pieces), max_size=4).map(lambda parts: first + b"".join(parts))


def is_plain(value: bytes) -> bool:
    """It means the same between other bytes as alone."""
    return (
        value == value.strip()
        and b"\r\n" not in value
        and value[-1:] != b"\r"
        and value[:1] != b"\n"
    )


PATIENCE_NS = 20_000_000_000
# Fields that one of the protocols knows and another forbids, or that have rules of their own.
PER_HOP = {b"", b"connection", b"te", b"host"}

messages = st.builds(
    Message,
    method=st.one_of(st.just(b"GET"), words(first=b"G").filter(is_plain)),
    path=st.one_of(st.just(b"/"), words(first=b"/").filter(is_plain), words().filter(is_plain)),
    authority=st.one_of(st.just(b"svc.test"), words(first=b"a").filter(is_plain), words().filter(is_plain)).filter(bool),
    fields=st.lists(
        st.tuples(words(without=b":\r\n", first=b"x").filter(is_plain), words().filter(is_plain)), max_size=2,
    ),
).filter(lambda message: all(name not in PER_HOP for name, _ in message.fields))  # fmt: skip


async def verdicts(message: Message, *, step: int) -> dict[str, Verdict]:
    # Where nothing else is spoken: elsewhere a first line with control bytes in it may be another protocol.
    async with engine(connect_timeout_ns=PATIENCE_NS, failfast_ns=PATIENCE_NS) as made:
        return {
            carrier: await judged(made, message, carrier=carrier, step=step, http=True)
            for carrier in CARRIERS
        }


@settings(deadline=None)
@given(messages, st.sampled_from([0, 1]))
@example(Message(path="/caf\u00e9".encode()), 0)
@example(Message(authority=b"a:"), 0)
@example(Message(authority=b"a,b"), 1)
@example(Message(fields=[(b"x_y", b"\xff")]), 0)
def test_every_carrier_says_the_same(message: Message, step: int) -> None:
    # An absolute form, and one that is all of HTTP/2's own.
    assume(not message.path.startswith((b"http", b"*")))
    found = asyncio.run(verdicts(message, step=step))
    assert len({verdict.accepted for verdict in found.values()}) == 1, (message, found)
    for carrier, verdict in found.items():
        expected = 200 if verdict.accepted else 400 if carrier == HTTP1 else None
        assert verdict.status == expected, (carrier, verdict)
    if found[HTTP1].accepted:
        assert_others_accept(message)


def assert_others_accept(message: Message) -> None:
    # h11 takes ASCII targets and no odd Host; what it is asked about here is all the rest.
    plain = Message(message.method, b"/", message.authority, message.fields)
    try:
        by_h11(plain.as_http1(), request=True)
    except Refused as refusal:
        raise AssertionError(f"h11 refuses {message}") from refusal
    for within in (False, True):
        server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        server.initiate_connection()
        try:
            server.receive_data(message.as_http2(within=within))
        except h2.exceptions.ProtocolError as refusal:
            raise AssertionError(f"h2 refuses {message}") from refusal


def test_both_ways_of_http2_are_asked() -> None:
    assert {HTTP1, HTTP2, WITHIN} == set(CARRIERS)
