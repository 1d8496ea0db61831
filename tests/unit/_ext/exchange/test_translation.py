"""What is done between the protocols of the two sides of an exchange."""

import pytest

from linkerd2_py._ext.exchange.testing import Half, Translated, comes_back, connected, http1_shown

MARK = b"l5d-orig-proto"
REFUSED, CANCEL, HTTP_1_1_REQUIRED = 7, 8, 13

# ---- requests


def carried(value: bytes, **request: bytes) -> Translated:
    """HTTP/1 that a peer proxy carries over HTTP/2."""
    return Translated(Half("2"), fields=[(MARK, value)], from_peer=True, **request)


@pytest.mark.parametrize(
    ("value", "spoken"), [(b"HTTP/1.1", "1.1"), (b"HTTP/1.0", "1.0"), (b"HTTP/2", "2")]
)
def test_a_peers_word_says_what_its_application_speaks(value: bytes, spoken: str) -> None:
    request = carried(value)
    assert request.spoken == spoken
    assert MARK not in dict(request.fields)


def test_what_was_carried_has_its_host_and_target_again() -> None:
    request = carried(b"HTTP/1.1; absolute-form", authority=b"web:80", path=b"/x")
    assert request.target == b"http://web:80/x"
    assert request.fields == [(b"Host", b"web:80")]


@pytest.mark.parametrize(("version", "from_peer"), [("1.1", True), ("2", False)])
def test_nobody_else_is_believed(version: str, from_peer: bool) -> None:
    request = Translated(Half(version), fields=[(MARK, b"HTTP/1.0")], from_peer=from_peer)
    assert request.spoken == version
    assert request.fields == []


def test_a_forward_proxy_sends_origin_form_and_the_host_it_goes_to() -> None:
    request = Translated(
        Half(), absolute=True, authority=b"real:80", path=b"/x", fields=[(b"host", b"other")]
    )
    request.to_origin_form()
    assert request.target == b"/x"
    assert request.fields == [(b"Host", b"real:80")]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Translated(Half()), {"plain": "http1", "meshed": "http2", "found out": "http1"}),
        (Translated(Half("2")), {"plain": "http2", "meshed": "http2", "found out": "http1"}),
        (
            Translated(Half("2"), grpc=True),
            {"plain": "http2", "meshed": "http2", "found out": "http2"},
        ),
        (
            Translated(Half(), upgrade=True),
            {"plain": "http1", "meshed": "http1", "found out": "http1"},
        ),
        (
            Translated(Half(), method=b"CONNECT"),
            {"plain": "http1", "meshed": "http1", "found out": "http1"},
        ),
        (
            Translated(Half(), authority=b""),
            {"plain": "http1", "meshed": "http1", "found out": "http1"},
        ),
        (carried(b"HTTP/1.1"), {"plain": "http1", "meshed": "http2", "found out": "http1"}),
    ],
    ids=["HTTP/1", "HTTP/2", "gRPC", "upgrade", "CONNECT", "no authority", "carried"],
)
def test_what_a_backend_is_asked_for(request_: Translated, expected: dict[str, str]) -> None:
    assert {
        "plain": request_.wants(h2=False),
        "meshed": request_.wants(h2=True),
        "found out": request_.wants(h2=True, http1_only=True),
    } == expected


def test_only_connect_that_is_addressed_to_us_becomes_a_connection() -> None:
    assert Translated(Half(), method=b"CONNECT").wants(h2=True, by_connect=True) == "transport"
    assert Translated(Half()).wants(h2=True, by_connect=True) == "http2"


def test_http1_over_http2_is_marked_and_the_mark_is_taken_back_for_an_http1_endpoint() -> None:
    request = Translated(Half(), fields=[(MARK, b"of the client")])
    assert request.fit(Half("2")) == [(MARK, b"HTTP/1.1")]
    assert request.fit(Half()) == []
    assert request.fit(Half("2")) == [(MARK, b"HTTP/1.1")]


def test_nothing_is_marked_between_equals() -> None:
    assert Translated(Half()).fit(Half()) == []
    assert Translated(Half("2")).fit(Half("2")) == []


def test_which_requests_may_come_back_unprocessed() -> None:
    assert comes_back(Half("2"))
    assert comes_back(Half(pooled=True))
    assert not comes_back(Half())


# ---- responses


def test_a_response_over_http2_is_http1_again_and_says_nothing_of_it() -> None:
    request = Translated(Half())
    request.fit(Half("2"))
    assert request.response(200, [(MARK, b"HTTP/1.0")], version="2") == ([], "1.0", False)


def test_a_peer_proxy_is_told_the_version_of_a_response_that_it_carries() -> None:
    fields, _version, _close = carried(b"HTTP/1.1").response(200, version="1.0", outbound=False)
    assert fields == [(MARK, b"HTTP/1.0")]


OURS = [(b"l5d-proxy-error", b"why"), (b"l5d-proxy-connection", b"close")]


@pytest.mark.parametrize("interim", [False, True])
def test_what_proxies_tell_each_other_goes_no_further_than_outbound(interim: bool) -> None:
    request = Translated(Half())
    assert request.response(503, [*OURS, (b"x", b"y")], interim=interim)[0] == [(b"x", b"y")]
    assert request.response(503, OURS, outbound=False, interim=interim)[0] == OURS


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("secured", [False, True])
def test_a_lone_peer_that_closes_has_its_client_look_elsewhere(alone: bool, secured: bool) -> None:
    _fields, _version, close = Translated(Half()).response(503, OURS, alone=alone, secured=secured)
    assert close is (alone and secured)


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        (Translated(Half()), set()),
        (Translated(Half(), upgrade=True), {101}),
        (Translated(Half(), method=b"CONNECT"), {200, 204, 299}),
    ],
    ids=["GET", "upgrade", "CONNECT"],
)
def test_after_which_responses_a_connection_is_the_applications(
    request_: Translated, statuses: set[int]
) -> None:
    asked = {101, 199, 200, 204, 299, 300, 403}
    assert {status for status in asked if request_.opens_tunnel(status)} == statuses


def test_connect_is_answered_with_nothing_but_200() -> None:
    half = Half()
    connected(half)
    assert half.events == [("head", 200, [], False)]


# ---- ends


def test_a_reset_stays_one_between_two_http2_applications_alone() -> None:
    whole = Translated(Half("2"))
    assert whole.stays_reset(Half("2"), "protocol", CANCEL)
    assert not whole.stays_reset(Half("2"), "protocol", 0)
    assert not whole.stays_reset(Half("2"), "protocol", HTTP_1_1_REQUIRED)
    assert not whole.stays_reset(Half("2"), "eof", CANCEL)
    assert not Translated(Half()).stays_reset(Half(), "protocol", CANCEL)
    assert not carried(b"HTTP/1.1").stays_reset(Half("2"), "protocol", CANCEL)


def test_a_refusal_is_told_to_http2_without_grpc() -> None:
    assert Translated(Half("2")).may_tell_refusal(Half("2"))
    assert not Translated(Half("2"), grpc=True).may_tell_refusal(Half("2"))
    assert not Translated(Half()).may_tell_refusal(Half())


def test_only_grpc_over_http2_can_be_told_why_its_response_broke() -> None:
    grpc = Translated(Half("2"), grpc=True)
    assert grpc.can_explain(Half("2"), "eof")
    assert not grpc.can_explain(Half("2"), "protocol")
    assert not grpc.can_explain(Half(), "eof")
    assert not Translated(Half("2")).can_explain(Half("2"), "eof")


def test_one_code_shows_that_http1_is_spoken() -> None:
    assert [code for code in range(20) if http1_shown(code)] == [HTTP_1_1_REQUIRED]
