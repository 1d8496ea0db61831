"""What a sound message is, whatever carried it."""

import pytest

from linkerd2_py._ext.exchange.testing import Asked, sound_authority, sound_path, sound_scheme

# Sound, and whether a port is said.
AUTHORITIES = [
    (b"web", False),
    (b"web:", False),
    (b"web:0", True),
    (b"web:80", True),
    (b"web:65535", True),
    (b"web:00080", True),
    (b"a_b.c-d~", False),
    (b"10.0.0.1:80", True),
    (b"[::]", False),
    (b"[::1]", False),
    (b"[::1]:", False),
    (b"[::1]:80", True),
    (b"[::ffff:10.0.0.1]:80", True),
]
UNSOUND_AUTHORITIES = [
    b"",
    b":80",
    b"user@web",
    b"user:word@web:80",
    b"web/",
    b"web ",
    b"we b",
    b"w\xc3\xa4b",
    b"web:80:",
    b"web:x",
    b"web:8x",
    b"web:-1",
    b"web:65536",
    b"web:99999",
    b"web:000080",
    b"web:80 ",
    b"::1",
    b"[]",
    b"[:]",
    b"[:]x",
    b"[1]",
    b"[10.0.0.1]",
    b"[::1",
    b"[::g]",
    b"[::1]80",
    b"[::1]x:80",
    b"[::1]:65536",
    b"[[::1]]",
]


@pytest.mark.parametrize(("authority", "has_port"), AUTHORITIES)
def test_an_authority_is_a_host_or_an_address_perhaps_with_a_port(
    authority: bytes, has_port: bool
) -> None:
    assert sound_authority(authority)
    assert sound_authority(authority, with_port=True) == has_port


@pytest.mark.parametrize("authority", UNSOUND_AUTHORITIES)
def test_other_authorities_are_refused(authority: bytes) -> None:
    assert not sound_authority(authority)
    assert not sound_authority(authority, with_port=True)


@pytest.mark.parametrize("path", [b"/", b"//", b"/a?b=c;d", b"/a*", b"/\xc3\xa4", b"/[x]|\\%zz"])
def test_a_path_begins_with_a_slash(path: bytes) -> None:
    assert sound_path(path)
    assert sound_path(path, b"OPTIONS")


@pytest.mark.parametrize(
    "path",
    [b"", b"a", b"?a", b"**", b"*/", b"http://a/", b"/a#b", b"/a b", b"/a\t", b"/\0", b"/\x7f"],
)
def test_other_paths_are_refused(path: bytes) -> None:
    assert not sound_path(path)
    assert not sound_path(path, b"OPTIONS")


def test_only_options_asks_a_whole_server() -> None:
    assert sound_path(b"*", b"OPTIONS")
    for method in (b"GET", b"CONNECT", b"options", b"OPTION"):
        assert not sound_path(b"*", method)


def test_a_proxy_is_asked_for_http_or_https_in_any_case() -> None:
    for scheme in (b"http", b"https", b"HTTP", b"HttpS"):
        assert sound_scheme(scheme)
    for scheme in (b"", b"htt", b"httpx", b"httpss", b"ftp", b"http:", b"hxxp", b"wss"):
        assert not sound_scheme(scheme)


# ---- requests that came as pseudo-fields


@pytest.mark.parametrize(
    "request_",
    [
        Asked(),
        Asked(method=b"X-Y"),
        Asked(method=b"OPTIONS", path=b"*"),
        Asked(method=b"CONNECT", authority=b"a:80", path=b"", scheme=b""),
        Asked(method=b"connect", authority=b"a:"),
    ],
)
def test_a_request_with_all_that_its_method_asks_for_is_sound(request_: Asked) -> None:
    assert request_.is_sound()


@pytest.mark.parametrize(
    "request_",
    [
        Asked(method=b""),
        Asked(method=b"GE T"),
        Asked(method=b"GET:"),
        Asked(authority=b""),
        Asked(authority=b"u@a"),
        Asked(path=b""),
        Asked(path=b"*"),
        Asked(path=b"/#"),
        Asked(scheme=b""),
        Asked(scheme=b"ftp"),
        Asked(method=b"CONNECT", authority=b"a", path=b"", scheme=b""),
        Asked(method=b"CONNECT", authority=b"a:", path=b"", scheme=b""),
        Asked(method=b"CONNECT", authority=b"", path=b"", scheme=b""),
        Asked(method=b"connect", authority=b"a:80", path=b"", scheme=b""),
    ],
)
def test_a_request_without_any_of_them_is_not(request_: Asked) -> None:
    assert not request_.is_sound()


# ---- heads that go out as HTTP/1


@pytest.mark.parametrize(
    "head",
    [
        Asked(),
        Asked(method=b"", path=b"", authority=b"", scheme=b""),
        Asked(reason=b"Not\tso \xc3\xa4"),
        Asked([(b"x", b""), (b"Y_!", b"a\tb \x80\xff")]),
    ],
)
def test_a_head_of_tokens_and_text_can_be_written(head: Asked) -> None:
    assert head.is_writable()


@pytest.mark.parametrize("control", [b"\0", b"\r", b"\n", b"\x1f", b"\x7f"])
def test_no_control_byte_can_be_written(control: bytes) -> None:
    text = b"a" * 20 + control
    for head in (
        Asked(method=text),
        Asked(path=b"/" + text),
        Asked(authority=text),
        Asked(scheme=text),
        Asked(reason=text),
        Asked([(b"x", b"1"), (b"y", text)]),
        Asked([(b"x", b"1"), (text, b"1")]),
    ):
        assert not head.is_writable()


@pytest.mark.parametrize(
    "head",
    [
        Asked(method=b"GET "),
        Asked(path=b"/a b"),
        Asked(path=b"/a#b"),
        Asked(authority=b"a b"),
        Asked(scheme=b"ht tp"),
        Asked([(b"", b"1")]),
        Asked([(b"x:", b"1")]),
        Asked([(b"x ", b"1")]),
        Asked([(b"\xc3\xa4", b"1")]),
    ],
)
def test_what_would_be_read_as_something_else_cannot_be_written(head: Asked) -> None:
    assert not head.is_writable()


def test_a_field_that_is_not_written_may_hold_anything() -> None:
    head = Asked([(b"te", b"a\r\nb"), (b"x", b"1")])
    assert not head.is_writable()
    assert head.drop(b"te") == 1
    assert head.is_writable()


# ---- trailers


@pytest.mark.parametrize(
    "name",
    [
        b"grpc-status",
        b"grpc-message",
        b"Grpc_Status",
        b"date",
        b"Server",
        b"etag",
        b"x",
        b"x_y",
        b"x-forwarded-",
        b"x-forwarder",
        b"authorizations",
        b"content-digest",
        b"x-checksum-of-the-whole-content",
        b"y" * 24,
        b"y" * 25,
    ],
)
def test_what_may_be_said_after_a_body_stays(name: bytes) -> None:
    assert Asked([(name, b"1")]).settle_trailers() == [(name, b"1")]


FORBIDDEN = (
    b"host connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding "
    b"upgrade content-length content-type expect http2-settings l5d-orig-proto l5d-proxy-error l5d-proxy-connection "
    b"l5d-client-id l5d-require-id l5d-dst-canonical l5d-x authorization cookie set-cookie content-encoding "
    b"content-range max-forwards cache-control forwarded x-forwarded-for x-forwarded-client-cert"
).split()


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_frames_routes_or_admits_does_not(name: bytes) -> None:
    for other in (name, name.upper(), name.title(), name.replace(b"-", b"_")):
        assert Asked([(other, b"1"), (b"x", b"2")]).settle_trailers() == [(b"x", b"2")]


@pytest.mark.parametrize("length", [24, 25, 100])
def test_no_length_hides_a_forbidden_prefix(length: int) -> None:
    for prefix in (b"l5d-", b"L5d_", b"x-forwarded-", b"X_Forwarded-"):
        name = prefix + b"y" * (length - len(prefix))
        assert Asked([(name, b"1")]).settle_trailers() == []


def test_a_trailer_without_a_name_does_not_stay() -> None:
    assert Asked([(b"", b"1")]).settle_trailers() == []
