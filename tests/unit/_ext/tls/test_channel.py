"""Channels in memory: what becomes of bytes, ends and keys once hands were shaken."""

import os
import ssl
from pathlib import Path

import pytest

from linkerd2_py._ext.tls.credentials import Credentials
from linkerd2_py._ext.tls.testing import MemoryChannel
from linkerd2_py.base.clock import SystemClock
from tests.support.memory_tls import (
    SIDES,
    VOTING,
    Met,
    carry,
    read_all,
    shake,
)
from tests.support.tls_records import (
    ALERT,
    CLOSE_NOTIFY,
    HANDSHAKE,
    KEY_UPDATE,
    KEY_UPDATE_BOTH,
    Forger,
)

ALERT_HANDSHAKE_FAILURE = b"\x15\x03\x03\x00\x02\x02\x28"
ALERT_CLOSE_NOTIFY = b"\x15\x03\x03\x00\x02\x01\x00"
BIG = bytes(range(256)) * 400  # more than six records
NOW = SystemClock().wall()
HEADER = "transport.l5d.io/v1"


# -- data and ends


def test_data_may_come_with_the_end_of_the_handshake(meet):
    both = meet("serving")
    assert both.theirs.handshake() == "more"
    carry(both.theirs, both.ours)
    both.ours.handshake()
    carry(both.ours, both.theirs)
    assert both.theirs.handshake() == "done"
    both.theirs.write(b"early")
    carry(both.theirs, both.ours)
    assert both.ours.handshake() == "done"
    assert read_all(both.ours) == (b"early", "more")


def test_looking_takes_nothing(met):
    met.theirs.write(b"there")
    wire = met.theirs.said()
    met.ours.feed(wire[:-1])
    assert met.ours.peek() == "more"
    met.ours.feed(wire[-1:])
    assert met.ours.peek() == met.ours.peek() == "plaintext"
    assert met.ours.read(2) == b"th"
    assert met.ours.peek() == "plaintext"
    assert read_all(met.ours) == (b"ere", "more")


def test_close_notify_ends_one_direction_only(met):
    met.theirs.close_notify()
    carry(met.theirs, met.ours)
    assert met.ours.peek() == "end"
    assert met.ours.read() == met.ours.read() == "end"
    met.ours.write(b"still here")
    carry(met.ours, met.theirs)
    assert met.theirs.read() == b"still here"
    met.ours.close_notify()
    carry(met.ours, met.theirs)
    assert met.theirs.read() == "end"


def test_after_our_own_close_notify_we_still_listen(met):
    met.ours.close_notify()
    carry(met.ours, met.theirs)
    assert met.theirs.read() == "end"
    met.theirs.write(BIG)
    met.theirs.close_notify()
    carry(met.theirs, met.ours)
    assert read_all(met.ours) == (BIG, "end")


def test_a_changed_byte_of_a_record_breaks_the_connection_for_good(met):
    met.theirs.write(b"first")
    good = met.theirs.said()
    met.theirs.write(b"second")
    bad = bytearray(met.theirs.said())
    bad[-1] ^= 1
    met.theirs.write(b"third")
    met.ours.feed(good + bytes(bad) + met.theirs.said())
    assert read_all(met.ours) == (b"first", "broken")
    assert met.ours.failure == "decryption failed or bad record mac"
    assert met.ours.read() == met.ours.peek() == "broken"
    # An alert says so, and nothing follows it.
    carry(met.ours, met.theirs)
    assert met.theirs.read() == "broken"
    with pytest.raises(RuntimeError, match="broken"):
        met.ours.write(b"more")
    met.ours.close_notify()
    assert met.ours.said() == b""


def test_records_in_another_order_break_the_connection(met):
    met.theirs.write(b"first")
    first = met.theirs.said()
    met.theirs.write(b"second")
    met.ours.feed(met.theirs.said() + first)
    assert met.ours.read() == "broken"


def test_a_record_twice_breaks_the_connection(met):
    met.theirs.write(b"once")
    wire = met.theirs.said()
    met.ours.feed(wire + wire)
    assert read_all(met.ours) == (b"once", "broken")


# -- records that no library makes


@pytest.fixture(params=SIDES)
def forged(request, meet, tmp_path) -> tuple[Met, Forger]:
    """A handshake with Python's end, whose next record is the test's own."""
    secrets: Path = tmp_path / "secrets"

    def confess(context: ssl.SSLContext) -> None:
        context.keylog_filename = str(secrets)
        if request.param == "calling":
            context.num_tickets = 0

    both = meet(request.param, change=confess)
    assert both.shake() == ("done", "done")
    both.settle()
    return both, Forger(both.theirs.tls, secrets)


def test_the_longest_record_and_empty_and_padded_ones_are_read(forged):
    met, forger = forged
    longest = os.urandom(16384)
    met.ours.feed(
        forger.record(longest)
        + forger.record(b"")
        + forger.record(b"padded", padding=1000)
        + forger.record(b"", padding=16384)
        + forger.record(b"x")
    )
    assert read_all(met.ours) == (longest + b"paddedx", "more")
    met.ours.write(longest)
    wire = met.ours.said()
    assert len(wire) == 16384 + 22
    met.theirs.feed(wire)
    assert read_all(met.theirs) == (longest, "more")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (bytes(16385), 23),
        (b"", ALERT),
        (b"\x02", ALERT),
        (b"\x02\x28", ALERT),
        (b"", HANDSHAKE),
        (b"\x00\x00\x00\x00", HANDSHAKE),  # HelloRequest: renegotiation as TLS 1.2 had it
        (b"\x01\x00\x00\x10" + bytes(16), HANDSHAKE),  # ClientHello
        (b"\x0d\x00\x00\x03\x00\x00\x00", HANDSHAKE),  # CertificateRequest
        (b"\x0b\x00\x00\x04\x00\x00\x00\x00", HANDSHAKE),  # Certificate
        (b"\x14\x00\x00\x20" + bytes(32), HANDSHAKE),  # Finished
        (b"\x18\x00\x00\x01\x07", HANDSHAKE),  # KeyUpdate, not known
        (b"\x18\x00\x00\x02\x00\x00", HANDSHAKE),
        (b"\x18\x00\x00\x01\x00\x18", HANDSHAKE),  # more in the record that changes keys
        (b"\xff\x00\x00\x01\x00", HANDSHAKE),
        (b"\x01", 20),
        (b"x", 0),
        (b"x", 24),
        (b"x", 99),
    ],
)
def test_what_has_no_place_behind_a_handshake_breaks_the_connection(forged, content, kind):
    met, forger = forged
    met.ours.feed(forger.record(b"before") + forger.record(content, kind) + forger.record(b"x"))
    assert read_all(met.ours) == (b"before", "broken")
    assert met.ours.failure


@pytest.mark.parametrize("plain", [ALERT_HANDSHAKE_FAILURE, ALERT_CLOSE_NOTIFY])
def test_an_alert_in_the_clear_is_no_word_of_the_peers(forged, plain):
    met, _ = forged
    met.ours.feed(plain)
    assert met.ours.read() == "broken"


def test_empty_records_without_end_break_the_connection(forged):
    met, forger = forged
    met.ours.feed(b"".join(forger.record(b"") for _ in range(100)))
    assert met.ours.read() == "broken"


def test_nothing_is_read_behind_the_end(forged):
    met, forger = forged
    met.ours.feed(
        forger.record(b"last") + forger.record(CLOSE_NOTIFY, ALERT) + forger.record(b"behind")
    )
    assert read_all(met.ours) == (b"last", "end")
    assert met.ours.read() == "end"


@pytest.mark.parametrize("asked", [KEY_UPDATE, KEY_UPDATE_BOTH])
def test_new_keys_are_taken_and_given_with_the_next_write(forged, asked):
    met, forger = forged
    met.ours.feed(forger.record(b"old") + forger.record(asked, HANDSHAKE))
    assert read_all(met.ours) == (b"old", "more")
    forger.new_keys()
    met.ours.feed(forger.record(b"new"))
    assert met.ours.read() == b"new"
    assert met.ours.said() == b""
    for word in (b"answer", b"again"):
        met.ours.write(word)
        carry(met.ours, met.theirs)
        assert met.theirs.read() == word


def test_many_key_updates_are_answered_one_by_one(forged):
    met, forger = forged
    for _ in range(500):
        met.ours.feed(forger.record(KEY_UPDATE_BOTH, HANDSHAKE))
        assert met.ours.read() == "more"
        forger.new_keys()
    met.ours.write(b"x")
    met.theirs.feed(met.ours.said())
    assert met.theirs.read() == b"x"


def test_a_flood_of_key_updates_that_cannot_be_answered_breaks_the_connection(web, voting):
    client = MemoryChannel(web, server_name=VOTING)
    server = MemoryChannel(voting)
    assert shake(client, server) == ("done", "done")
    server.confine(100)
    for _ in range(10):
        client.update_keys(both=True)
    carry(client, server)
    assert server.read() == "broken"
    assert server.failure == "the peer asks for new keys again and again and reads nothing"


def test_a_message_in_two_records_may_be_written_around(forged):
    """Between its halves the library cannot write; that is no failure."""
    met, forger = forged
    met.ours.feed(forger.record(KEY_UPDATE_BOTH[:4], HANDSHAKE))
    assert met.ours.read() == "more"
    with pytest.raises(RuntimeError, match="more"):
        met.ours.write(b"too early")
    assert met.ours.failure is None
    met.ours.feed(forger.record(KEY_UPDATE_BOTH[4:], HANDSHAKE))
    assert met.ours.read() == "more"
    met.ours.write(b"now")
    carry(met.ours, met.theirs)
    assert met.theirs.read() == b"now"


def test_our_own_new_keys_are_followed(web, voting):
    client, server = MemoryChannel(web, server_name=VOTING), MemoryChannel(voting)
    assert shake(client, server) == ("done", "done")
    for both in (False, True, True):
        client.update_keys(both=both)
        client.write(b"there")
        carry(client, server)
        assert server.read() == b"there"
        server.write(b"back")
        carry(server, client)
        assert client.read() == b"back"


def test_credentials_outlive_their_owner_as_long_as_a_connection_needs_them(mesh):
    def begun() -> tuple[MemoryChannel, MemoryChannel]:
        made: list[Credentials] = [mesh.credentials("web"), mesh.credentials("voting")]
        return MemoryChannel(made[0], server_name=VOTING), MemoryChannel(made[1])

    client, server = begun()
    assert shake(client, server) == ("done", "done")
    assert client.peer == VOTING


@pytest.mark.parametrize("side", SIDES)
def test_keys_are_renewed_before_they_have_written_too_much(meet, side):
    """One more record, which says so; the peer follows, and nothing is asked of it."""
    both = meet(side)
    both.shake()
    both.settle()
    both.ours.write(b"a")
    plain = both.ours.said()
    assert plain.count(b"\x17\x03\x03") == 1
    both.theirs.feed(plain)
    both.ours.age()
    both.ours.write(b"b")
    renewed = both.ours.said()
    assert len(renewed) == len(plain) + 27
    both.ours.write(b"c")
    again = both.ours.said()
    assert len(again) == len(plain)
    both.theirs.feed(renewed + again)
    assert read_all(both.theirs) == (b"abc", "more")
    both.theirs.write(b"back")
    carry(both.theirs, both.ours)
    assert read_all(both.ours) == (b"back", "more")
