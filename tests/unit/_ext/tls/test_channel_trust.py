"""Channels in memory: whom they trust and refuse, against Python's `ssl` and every kind of stranger."""

import ssl
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from linkerd2_py._ext.tls.testing import MemoryChannel, remembered
from linkerd2_py.base.clock import SystemClock
from tests.support.certificates import Signer
from tests.support.memory_tls import (
    SIDES,
    VOTING,
    WEB,
    PythonEnd,
    carry,
    python_client,
    read_all,
    shake,
)
from tests.support.workloads import DAY_S, MeshAuthority, Workload, name_of, ssl_context

BIG = bytes(range(256)) * 400  # more than six records
NOW = SystemClock().wall()
HEADER = "transport.l5d.io/v1"


# -- good handshakes


def test_two_channels_prove_who_they_are(web, voting):
    client = MemoryChannel(web, server_name=VOTING)
    server = MemoryChannel(voting)
    assert shake(client, server) == ("done", "done")
    assert client.peer == VOTING
    assert server.peer == WEB
    client.write(BIG)
    carry(client, server)
    assert read_all(server) == (BIG, "more")


@pytest.mark.parametrize("side", SIDES)
def test_a_stranger_with_a_certificate_of_the_mesh_is_trusted(meet, side):
    both = meet(side)
    assert both.shake() == ("done", "done")
    assert both.ours.peer == (VOTING if side == "calling" else WEB)
    assert both.theirs.tls.version() == "TLSv1.3"
    both.ours.write(BIG)
    carry(both.ours, both.theirs)
    assert read_all(both.theirs) == (BIG, "more")
    both.theirs.write(BIG)
    carry(both.theirs, both.ours)
    assert read_all(both.ours) == (BIG, "more")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("piece", [1, 2, 100])
def test_a_handshake_may_come_in_small_pieces(meet, side, piece):
    both = meet(side)
    assert both.shake(piece=piece) == ("done", "done")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("room", [1, 50, 1000])
def test_a_handshake_may_leave_in_small_pieces(meet, side, room):
    both = meet(side, room=room)
    assert both.shake() == ("done", "done")


@pytest.mark.parametrize("piece", [1 << 20, 1])
def test_a_hello_of_20_kilobytes_is_understood(meet, piece):
    many = [f"{number:03}" + "x" * 252 for number in range(80)]
    both = meet("serving", change=lambda context: context.set_alpn_protocols(many))
    assert both.shake(piece=piece) == ("done", "done")


def test_a_client_without_a_certificate_is_served_and_nobody(meet):
    both = meet("serving", anonymous=True)
    assert both.shake() == ("done", "done")
    assert both.ours.peer is None
    assert both.ours.failure is None


def test_a_server_that_asks_for_no_certificate_is_fine(meet):
    both = meet("calling", change=lambda context: setattr(context, "verify_mode", ssl.CERT_NONE))
    assert both.shake() == ("done", "done")
    assert both.theirs.peer_certificate is None


def test_the_whole_chain_is_presented_and_no_anchor(mesh, tmp_path):
    low = mesh.signer("low", by=(high := mesh.signer("high")))
    workload = mesh.workload("voting", issuers=[low, high])
    server = MemoryChannel(workload.credentials(anchors=mesh.anchors))
    client = python_client(ssl_context(None, anchors=mesh.anchors, folder=tmp_path, server=False))
    assert shake(server, client) == ("done", "done")
    chain = client.tls._sslobj.get_unverified_chain()
    assert [one.public_bytes(2) for one in chain] == workload.chain


KEYS = {
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("kind", KEYS)
def test_anchors_of_every_kind_are_led_to(kind):
    mesh = MeshAuthority(anchor_key=KEYS[kind]())
    client = MemoryChannel(mesh.credentials("web"), server_name=VOTING)
    assert shake(client, MemoryChannel(mesh.credentials("voting"))) == ("done", "done")


@pytest.mark.parametrize("side", SIDES)
def test_five_certificates_may_stand_between_leaf_and_anchor(mesh, meet, side):
    account = "voting" if side == "calling" else "web"
    both = meet(side, mesh.workload(account, issuers=below(mesh, 5)))
    assert both.shake() == ("done", "done")


def below(mesh: MeshAuthority, count: int) -> list[Signer]:
    """Issuers, each below the next and the last below the anchor; the nearest to the leaf first."""
    chain = [mesh.signer("issuer 0")]
    for number in range(1, count):
        chain.insert(0, mesh.signer(f"issuer {number}", by=chain[0]))
    return chain


# -- whom nobody trusts


def usage(oid: x509.ObjectIdentifier) -> list[tuple[x509.ExtensionType, bool]]:
    return [(x509.ExtendedKeyUsage([oid]), False)]


AUTHORITY = [(x509.BasicConstraints(ca=True, path_length=None), True)]


def not_ca(mesh: MeshAuthority) -> Signer:
    return mesh.signer(extensions=[(x509.BasicConstraints(ca=False, path_length=None), True)])


IMPOSTORS: dict[str, tuple[Callable[[MeshAuthority, str], Workload], str]] = {
    "of another mesh": (
        lambda m, who: MeshAuthority().workload(who),
        "unable to get local issuer certificate|certificate signature failure",
    ),
    "self-signed": (
        lambda m, who: m.workload(who, issuers=[Signer("me", starts=NOW - 60)]),
        "self-signed certificate in certificate chain",
    ),
    "expired": (
        lambda m, who: m.workload(who, starts=NOW - DAY_S, lifetime_s=DAY_S - 60),
        "certificate has expired",
    ),
    "not yet valid": (
        lambda m, who: m.workload(who, starts=NOW + 600),
        "certificate is not yet valid",
    ),
    "of an expired issuer": (
        lambda m, who: m.workload(
            who, issuers=[m.signer(starts=NOW - DAY_S, lifetime_s=DAY_S - 60)]
        ),
        "certificate has expired",
    ),
    "of an issuer that is no authority": (
        lambda m, who: m.workload(who, issuers=[not_ca(m)]),
        "invalid CA certificate",
    ),
    "signed by another leaf": (
        lambda m, who: m.workload(who, issuers=[not_ca(m), m.issuer]),
        "invalid CA certificate",
    ),
    "too deep": (
        lambda m, who: m.workload(who, issuers=below(m, 6)),
        "certificate chain too long",
    ),
    "with two names": (
        lambda m, who: m.workload(who, names=[name_of(who), "other"]),
        "hostname mismatch",
    ),
    "with no name": (lambda m, who: m.workload(who, names=[]), "hostname mismatch"),
    "with a wildcard": (
        lambda m, who: m.workload(
            who, names=["*.emojivoto.serviceaccount.identity.linkerd.cluster.local"]
        ),
        "hostname mismatch",
    ),
    "with a capital letter": (
        lambda m, who: m.workload(who, names=[name_of(who).capitalize()]),
        "hostname mismatch",
    ),
    "that is an authority": (
        lambda m, who: m.workload(who, extensions=AUTHORITY),
        "unsuitable certificate purpose|unsupported certificate purpose",
    ),
    "that does not say what it is for": (
        lambda m, who: m.workload(who, usages=False),
        "unsuitable certificate purpose|unsupported certificate purpose",
    ),
    "with a NUL": (
        lambda m, who: m.workload(who, names=[name_of(who) + "\0.evil.test"]),
        "hostname mismatch",
    ),
    "with a URI without a scheme": (
        lambda m, who: m.workload(
            who,
            names=[],
            extensions=[
                (
                    x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name_of(who))]),
                    False,
                )
            ],
        ),
        "hostname mismatch",
    ),
    "for signing code": (
        lambda m, who: m.workload(who, extensions=usage(ExtendedKeyUsageOID.CODE_SIGNING)),
        "unsuitable certificate purpose|unsupported certificate purpose",
    ),
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("who", IMPOSTORS)
def test_an_impostor_is_refused_and_told_so(mesh, meet, side, who):
    make, text = IMPOSTORS[who]
    both = meet(side, make(mesh, "voting" if side == "calling" else "web"))
    assert both.shake()[0] == "broken"
    assert both.ours.failure in text.split("|")
    assert both.ours.peer is None
    # A client of TLS 1.3 learns with its first read what the server thinks of it.
    said = both.theirs.failure or (both.theirs.read() == "broken" and both.theirs.failure)
    assert said
    assert "alert" in said
    assert both.ours.handshake() == "broken"
    assert both.ours.read() == "broken"


@pytest.mark.parametrize(
    ("side", "allowed"),
    [
        ("serving", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("calling", ExtendedKeyUsageOID.SERVER_AUTH),
    ],
)
def test_a_usage_holds_for_its_side_alone(mesh, meet, side, allowed):
    both_usages = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    account = "voting" if side == "calling" else "web"
    good = mesh.workload(account, extensions=usage(allowed))
    assert meet(side, good).shake() == ("done", "done")
    (other,) = both_usages - {allowed}
    assert meet(side, mesh.workload(account, extensions=usage(other))).shake()[0] == "broken"


def test_a_leaf_that_was_trusted_as_a_client_is_no_server_yet(mesh, web, tmp_path):
    """What is remembered of a leaf is remembered for the part it played."""
    only_client = mesh.workload("voting", extensions=usage(ExtendedKeyUsageOID.CLIENT_AUTH))
    as_client = ssl_context(only_client, anchors=mesh.anchors, folder=tmp_path, server=False)
    as_server = ssl_context(only_client, anchors=mesh.anchors, folder=tmp_path, server=True)
    assert shake(MemoryChannel(web), python_client(as_client)) == ("done", "done")
    ours = MemoryChannel(web, server_name=VOTING)
    assert shake(ours, PythonEnd(as_server))[0] == "broken"


def test_a_server_that_is_somebody_else_is_refused_by_name(meet, mesh):
    both = meet("calling", mesh.workload("emoji"))
    assert both.shake()[0] == "broken"
    assert both.ours.failure == f"the peer is {name_of('emoji')}, not {VOTING}"
    assert both.ours.peer is None
    assert both.theirs.failure
    assert "alert" in both.theirs.failure


def test_whom_we_expect_need_not_be_the_name_we_ask_for(meet, mesh):
    both = meet("calling", mesh.workload("emoji"), expected=name_of("emoji"))
    assert both.shake() == ("done", "done")
    both = meet("calling", expected=name_of("emoji"))
    assert both.shake()[0] == "broken"
    assert both.ours.failure == f"the peer is {VOTING}, not {name_of('emoji')}"


def test_a_name_that_cannot_be_asked_for_is_refused_at_once(web):
    with pytest.raises(ValueError, match="cannot be a server name"):
        MemoryChannel(web, server_name="x" * 300)


@pytest.mark.parametrize("side", SIDES)
def test_a_chain_beyond_64_kilobytes_is_not_read_to_its_end(mesh, meet, side):
    account = "voting" if side == "calling" else "web"
    padding = [Signer(f"padding {number}", starts=NOW - 60) for number in range(200)]
    both = meet(side, mesh.workload(account, issuers=[mesh.issuer, *padding]))
    assert both.shake()[0] == "broken"
    assert both.ours.failure == "excessive message size"


# -- what is not spoken


def only_tls12(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def only_p521(context: ssl.SSLContext) -> None:
    context.set_ecdh_curve("secp521r1")


@pytest.mark.parametrize("side", SIDES)
def test_tls_1_2_is_not_spoken(meet, side):
    both = meet(side, change=only_tls12)
    assert both.shake()[0] == "broken"
    assert both.ours.failure in ("unsupported protocol", "tlsv1 alert protocol version")


@pytest.mark.parametrize("side", SIDES)
def test_without_a_common_group_there_is_no_connection(meet, side):
    both = meet(side, change=only_p521)
    assert both.shake()[0] == "broken"
    assert both.ours.failure in ("no suitable key share", "sslv3 alert handshake failure")


ALERT_HANDSHAKE_FAILURE = b"\x15\x03\x03\x00\x02\x02\x28"
ALERT_CLOSE_NOTIFY = b"\x15\x03\x03\x00\x02\x01\x00"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 50,
        b"\xff" * 50,
        b"\x16\x03\x03\xff\xff" + bytes(100),
        b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00",
        b"\x17\x03\x03\x00\x02hi",
        b"\x14\x03\x03\x00\x01\x01" * 40,
        b"\x16\x03\x03\x00\x00" * 40,
        ALERT_HANDSHAKE_FAILURE,
        ALERT_CLOSE_NOTIFY,
    ],
)
def test_garbage_instead_of_a_handshake_breaks_it(meet, side, wire):
    ours = meet(side).ours
    assert ours.handshake() == "more"
    ours.said()
    ours.feed(wire)
    assert ours.handshake() == "broken"
    assert ours.failure
    ours.feed(bytes(100))
    assert ours.handshake() == ours.read() == ours.peek() == "broken"


def test_the_servers_alert_is_what_a_client_reports(meet):
    for wire, failure in (
        (ALERT_HANDSHAKE_FAILURE, "sslv3 alert handshake failure"),
        (ALERT_CLOSE_NOTIFY, "the peer ended the handshake"),
    ):
        ours = meet("calling").ours
        assert ours.handshake() == "more"
        ours.feed(wire)
        assert ours.handshake() == "broken"
        assert ours.failure == failure


@pytest.mark.parametrize("side", SIDES)
def test_a_changed_byte_of_the_handshake_breaks_it_at_one_end(meet, side):
    both = meet(side)
    both.ours.handshake()
    both.theirs.handshake()
    first, second = (both.ours, both.theirs) if side == "calling" else (both.theirs, both.ours)
    carry(first, second)
    second.handshake()
    wire = bytearray(second.said())
    wire[-1] ^= 1
    first.feed(bytes(wire))
    assert first.handshake() == "broken"


# -- ALPN


@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize(
    ("offered", "fits"),
    [
        ([HEADER], True),
        (["h2", HEADER, "http/1.1"], True),
        ([], False),
        (["h2"], False),
        ([HEADER + "0", HEADER[:-1], "transport.l5d.io/v2"], False),
        (["x" * 255] * 80 + [HEADER], True),
    ],
)
def test_a_server_agrees_to_the_transport_header_if_it_takes_one(meet, takes, offered, fits):
    def offer(context: ssl.SSLContext) -> None:
        if offered:
            context.set_alpn_protocols(offered)

    both = meet("serving", header=takes, change=offer)
    assert both.shake() == ("done", "done")
    assert both.ours.has_header is (takes and fits)
    assert both.theirs.tls.selected_alpn_protocol() == (HEADER if takes and fits else None)


@pytest.mark.parametrize("offers", [True, False])
@pytest.mark.parametrize("taken", [[HEADER], ["h2", HEADER], ["h2"], []])
def test_a_client_has_the_header_if_it_offered_it_and_the_server_agreed(meet, offers, taken):
    def take(context: ssl.SSLContext) -> None:
        if taken:
            context.set_alpn_protocols(taken)

    both = meet("calling", header=offers, change=take)
    assert both.shake() == ("done", "done")
    assert both.ours.has_header is (offers and HEADER in taken)


@pytest.mark.parametrize("offers", [True, False])
@pytest.mark.parametrize("takes", [True, False])
def test_two_channels_agree_to_the_header(web, voting, offers, takes):
    client = MemoryChannel(web, server_name=VOTING, header=offers)
    server = MemoryChannel(voting, header=takes)
    assert shake(client, server) == ("done", "done")
    assert client.has_header is server.has_header is (offers and takes)


# -- credentials in their turn


def test_a_connection_keeps_the_credentials_it_began_with(mesh, voting, tmp_path):
    context = ssl_context(None, anchors=mesh.anchors, folder=tmp_path, server=False)
    old, renewed = mesh.workload("voting"), mesh.workload("voting")
    first = MemoryChannel(old.credentials(anchors=mesh.anchors)), python_client(context)
    assert shake(*first) == ("done", "done")
    second = MemoryChannel(renewed.credentials(anchors=mesh.anchors)), python_client(context)
    assert shake(*second) == ("done", "done")
    assert first[1].peer_certificate == old.chain[0]
    assert second[1].peer_certificate == renewed.chain[0]
    first[0].write(b"goes on")
    carry(*first)
    assert first[1].read() == b"goes on"


def test_anchors_are_exchanged_in_three_steps_without_a_gap():
    """old, old and new, new: whoever is at most one step apart can talk."""
    old, new = MeshAuthority(), MeshAuthority()
    both = old.anchors + new.anchors
    steps = {
        "old": (old, old.anchors),
        "old leaf, both anchors": (old, both),
        "new leaf, both anchors": (new, both),
        "new": (new, new.anchors),
    }
    order = list(steps)
    for at, ours in enumerate(order):
        for peer_at, theirs in enumerate(order):
            client, server = (
                mesh.credentials(account, anchors=anchors)
                for account, (mesh, anchors) in (("web", steps[ours]), ("voting", steps[theirs]))
            )
            talk = shake(MemoryChannel(client, server_name=VOTING), MemoryChannel(server))
            if abs(at - peer_at) <= 1:
                assert talk == ("done", "done"), (ours, theirs)
            elif {ours, theirs} == {"old", "new"}:
                assert talk[0] == "broken", (ours, theirs)


@pytest.mark.parametrize("side", SIDES)
def test_no_session_is_ever_resumed(meet, side):
    kept: list[ssl.SSLSession] = []
    for _ in range(2):
        both = meet(side)
        if side == "serving" and kept:
            context = both.theirs.tls.context
            both.theirs = PythonEnd(context, server_name=VOTING)
        assert both.shake() == ("done", "done")
        both.settle()
        assert both.theirs.read() == "more"
        assert not both.theirs.tls.session_reused
        if side == "serving":
            session = both.theirs.tls.session
            assert session is None or not session.has_ticket
            kept.append(session)


# -- what is remembered of a leaf


def test_a_leaf_is_verified_once_and_remembered_with_its_end(mesh, meet, tmp_path):
    ours = mesh.credentials("voting")
    start = int(NOW)
    leaf = mesh.workload("web", starts=start - 60, lifetime_s=600)
    context = ssl_context(leaf, anchors=mesh.anchors, folder=tmp_path, server=False)
    for _ in range(3):
        assert shake(MemoryChannel(ours), python_client(context)) == ("done", "done")
    assert [(who, end) for who, end in remembered(ours).values()] == [(WEB.encode(), start + 540)]


def test_what_is_remembered_is_used_until_its_end_and_not_a_moment_longer(mesh, tmp_path):
    ours = mesh.credentials("voting")
    context = ssl_context(mesh.workload("web"), anchors=mesh.anchors, folder=tmp_path, server=False)
    assert shake(MemoryChannel(ours), python_client(context)) == ("done", "done")
    memory = remembered(ours)
    (key,) = memory
    for end, who in ((NOW + 600, "somebody"), (NOW - 1, WEB)):
        # A mark that shows whether the memory was asked.
        memory[key] = (b"somebody", end)
        server = MemoryChannel(ours)
        assert shake(server, python_client(context)) == ("done", "done")
        assert server.peer == who
    assert memory[key][0] == WEB.encode()


def test_a_leaf_that_ends_is_trusted_no_longer_whatever_was_remembered(mesh, tmp_path):
    ours = mesh.credentials("voting")
    leaf = mesh.workload("web", starts=NOW - DAY_S, lifetime_s=DAY_S - 1)
    context = ssl_context(leaf, anchors=mesh.anchors, folder=tmp_path, server=False)
    server = MemoryChannel(ours)
    assert shake(server, python_client(context))[0] == "broken"
    assert remembered(ours) == {}


def test_no_more_leaves_are_remembered_than_there_is_room_for(mesh, tmp_path):
    ours = mesh.credentials("voting")
    memory = remembered(ours)
    for number in range(4095):
        memory[number.to_bytes(33)] = (b"x", NOW + 600)
    for count in (4096, 1):
        context = ssl_context(
            mesh.workload("web"), anchors=mesh.anchors, folder=tmp_path, server=False
        )
        assert shake(MemoryChannel(ours), python_client(context)) == ("done", "done")
        assert len(memory) == count


def test_nothing_is_remembered_of_whom_nobody_trusts(mesh, tmp_path):
    ours = mesh.credentials("voting")
    for make, _ in IMPOSTORS.values():
        context = ssl_context(
            make(mesh, "web"), anchors=mesh.anchors, folder=tmp_path, server=False
        )
        assert shake(MemoryChannel(ours), python_client(context))[0] == "broken"
    assert remembered(ours) == {}
