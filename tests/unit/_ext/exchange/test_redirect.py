"""Where redirects lead: the table of the Gateway API, its rules about ports, and what is no redirect."""

import pytest

from linkerd2_py._ext.exchange.new_path import NewPath
from linkerd2_py._ext.exchange.plan import Plan, Refusal
from linkerd2_py._ext.exchange.redirect import STATUSES, Redirect
from linkerd2_py._ext.exchange.testing import Asked, Half, answer_refusal, redirected


def asked(url: bytes, *, method: bytes = b"GET", version: str = "1.1") -> Asked:
    scheme, _, rest = url.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    return Asked(
        method=method, path=slash + path, authority=authority, scheme=scheme, version=version
    )


# Gateway API, HTTPPathModifier: path of the request, prefix that matched, its replacement, new path.
PREFIXES = [
    (b"/foo/bar", b"/foo", b"/xyz", b"/xyz/bar"),
    (b"/foo/bar", b"/foo", b"/xyz/", b"/xyz/bar"),
    (b"/foo/bar", b"/foo/", b"/xyz", b"/xyz/bar"),
    (b"/foo/bar", b"/foo/", b"/xyz/", b"/xyz/bar"),
    (b"/foo", b"/foo", b"/xyz", b"/xyz"),
    (b"/foo/", b"/foo", b"/xyz", b"/xyz/"),
    (b"/foo/bar", b"/foo", b"/", b"/bar"),
    (b"/foo/", b"/foo", b"/", b"/"),
    (b"/foo", b"/foo", b"/", b"/"),
    # What follows from it.
    (b"/foo", b"/foo", b"/xyz/", b"/xyz"),
    (b"/foo?a=/b", b"/foo", b"/xyz", b"/xyz?a=/b"),
    (b"/foo?a=/b", b"/foo", b"/", b"/?a=/b"),
    (b"/foo/?a", b"/foo", b"/", b"/?a"),
    (b"/foo/bar?a?b", b"/foo", b"/xyz", b"/xyz/bar?a?b"),
    (b"/foo//bar", b"/foo", b"/xyz", b"/xyz//bar"),
    (b"/bar", b"/", b"/xyz", b"/xyz/bar"),
    (b"/", b"/", b"/xyz", b"/xyz/"),
    (b"/?a", b"/", b"/xyz", b"/xyz/?a"),
]


@pytest.mark.parametrize(("path", "prefix", "replacement", "expected"), PREFIXES)
def test_a_prefix_is_replaced(
    path: bytes, prefix: bytes, replacement: bytes, expected: bytes
) -> None:
    new = NewPath(replacement, cut=len(prefix.rstrip(b"/")))
    found = redirected(Redirect(302, path=new), asked(b"http://web" + path))
    assert found == b"http://web" + expected


@pytest.mark.parametrize(
    ("path", "new", "expected"),
    [
        (b"/a/b", b"/new", b"/new"),
        (b"/a?b=c", b"/new", b"/new?b=c"),
        (b"/a?b=c", b"/new?own", b"/new?own"),
        (b"/a", b"/new?own", b"/new?own"),
        (b"/a?", b"/", b"/?"),
    ],
)
def test_a_whole_path_is_replaced_and_the_query_stays(
    path: bytes, new: bytes, expected: bytes
) -> None:
    found = redirected(Redirect(302, path=NewPath(new)), asked(b"http://web" + path))
    assert found == b"http://web" + expected


# Scheme, host and port of the redirect; what is asked for; where it leads.
PLACES = [
    ((b"https", b"", 0), b"http://web/a?b", b"https://web/a?b"),
    ((b"https", b"", 0), b"http://web:80/a", b"https://web/a"),
    # With a scheme the port is the scheme's own, whatever it was.
    ((b"https", b"", 0), b"http://web:8080/a", b"https://web/a"),
    ((b"http", b"", 0), b"http://web:8080/a", b"http://web/a"),
    ((b"http", b"", 0), b"https://web/a", b"http://web/a"),
    ((b"https", b"", 443), b"http://web:8080/a", b"https://web/a"),
    ((b"https", b"", 80), b"http://web/a", b"https://web:80/a"),
    ((b"https", b"", 8443), b"http://web/a", b"https://web:8443/a"),
    # Without one it stays.
    ((b"", b"example.org", 0), b"http://web/a", b"http://example.org/a"),
    ((b"", b"example.org", 0), b"http://web:8080/a", b"http://example.org:8080/a"),
    ((b"", b"example.org", 0), b"http://web:80/a", b"http://example.org/a"),
    ((b"", b"example.org", 0), b"https://web:80/a", b"https://example.org:80/a"),
    ((b"", b"example.org", 8083), b"http://web:8080/a", b"http://example.org:8083/a"),
    ((b"", b"", 8083), b"http://web/a", b"http://web:8083/a"),
    ((b"", b"", 80), b"http://web:8080/a", b"http://web/a"),
    ((b"", b"", 443), b"http://web/a", b"http://web:443/a"),
    ((b"", b"", 443), b"https://web:1/a", b"https://web/a"),
    ((b"", b"", 65535), b"http://web:/a", b"http://web:65535/a"),
    # Hosts that are addresses.
    ((b"", b"", 8083), b"http://[::1]:80/a", b"http://[::1]:8083/a"),
    ((b"https", b"", 0), b"http://[::1]/a", b"https://[::1]/a"),
    ((b"", b"[fd00::1]", 0), b"http://10.0.0.1:8080/a", b"http://[fd00::1]:8080/a"),
    ((b"", b"", 8083), b"http://10.0.0.1/a", b"http://10.0.0.1:8083/a"),
    ((b"", b"", 8083), b"http://123/a", b"http://123:8083/a"),
    ((b"https", b"example.org", 8443), b"http://web:1/a", b"https://example.org:8443/a"),
]


@pytest.mark.parametrize(("said", "url", "expected"), PLACES)
def test_scheme_host_and_port(said: tuple[bytes, bytes, int], url: bytes, expected: bytes) -> None:
    scheme, host, port = said
    assert redirected(Redirect(302, scheme=scheme, host=host, port=port), asked(url)) == expected


@pytest.mark.parametrize(
    ("redirect", "url"),
    [
        (Redirect(302), b"http://web/a"),
        (Redirect(302, scheme=b"http"), b"http://web:80/a"),
        (Redirect(302, scheme=b"https"), b"https://web/a"),
        (Redirect(302, host=b"WEB"), b"http://web:8080/a"),
        (Redirect(302, port=8080), b"http://web:8080/a"),
        (Redirect(302, path=NewPath(b"/a")), b"http://web/a"),
        (Redirect(302, path=NewPath(b"/a", cut=2)), b"http://web/a/b?c"),
    ],
)
def test_a_redirect_to_where_one_is_is_none(redirect: Redirect, url: bytes) -> None:
    """Its client would come again without end."""
    assert redirected(redirect, asked(url)) == "nowhere else"
    assert answer_refusal(Half(), Refusal(redirect=redirect), asked(url)) is None


@pytest.mark.parametrize(
    ("method", "path"), [(b"CONNECT", b""), (b"OPTIONS", b"*"), (b"CONNECT", b"/")]
)
def test_what_has_no_path_goes_on(method: bytes, path: bytes) -> None:
    found = Asked(method=method, path=path, authority=b"web")
    assert redirected(Redirect(302, host=b"example.org"), found) == "nowhere else"


@pytest.mark.parametrize(
    "authority",
    [b"", b"a b", b"a\r\nx: y", b"user@web", b"web/evil", b"web:x", b"a,b", b"[::1", b"\xc3\xa4"],
)
def test_a_host_that_is_none_is_never_told(authority: bytes) -> None:
    """No codec lets it in, either."""
    found = Asked(authority=authority)
    assert redirected(Redirect(302, port=8083), found) == "unknown"
    half = Half()
    answer = answer_refusal(half, Refusal(redirect=Redirect(302, port=8083)), found)
    assert answer is not None
    assert answer[0] == 400
    assert b"location" not in dict(half.events[0][2])
    assert redirected(Redirect(302, host=b"example.org"), found) == b"http://example.org/"


def test_bytes_above_ascii_are_told_as_uris_have_them() -> None:
    found = redirected(Redirect(302, port=8083), asked("http://web/\u00e4/b?\u00f6".encode()))
    assert found == b"http://web:8083/%C3%A4/b?%C3%B6"


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_the_client_is_told_where_to_ask(status: int) -> None:
    half = Half()
    refusal = Refusal(redirect=Redirect(status, host=b"example.org"))
    found = answer_refusal(half, refusal, asked(b"http://web/a"), informational=True)
    assert found == (status, b"redirected", False, "none")
    [(_, told, fields, close)] = half.events
    assert (told, close) == (status, False)
    names = [name for name, _ in fields]
    assert names == [b"location", b"content-length", b"date"]
    assert dict(fields)[b"location"] == b"http://example.org/a"


def test_a_grpc_client_is_told_that_nothing_is_there() -> None:
    half = Half("2")
    refusal = Refusal(redirect=Redirect(302, host=b"example.org"))
    answer_refusal(half, refusal, asked(b"http://web/a.B/C"), grpc=True)
    [(_, told, fields, _close)] = half.events
    assert told == 200
    assert dict(fields)[b"grpc-status"] == b"5"
    assert dict(fields)[b"grpc-message"] == b"redirected"
    assert b"location" not in dict(fields)


def test_a_share_fails_before_the_rest_is_redirected() -> None:
    refusal = Refusal(503, "no", share=1, of=2, redirect=Redirect(302, host=b"example.org"))
    found = [answer_refusal(Half(), refusal, asked(b"http://web/a")) for _ in range(60)]
    assert {one[0] for one in found if one is not None} == {503, 302}
    assert None not in found


@pytest.mark.parametrize("status", [0, 200, 300, 304, 399, 500])
def test_what_is_no_redirects_status_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match=f"a redirect with status {status}"):
        Redirect(status)


@pytest.mark.parametrize("scheme", [b"ftp", b"HTTP", b"javascript", b"http:"])
def test_what_is_no_scheme_is_refused(scheme: bytes) -> None:
    with pytest.raises(ValueError, match="a redirect to the scheme"):
        Redirect(302, scheme=scheme)


@pytest.mark.parametrize(
    "host",
    [
        b"a b",
        b"a:80",
        b"[::1]:80",
        b"[::1",
        b"a/b",
        b"u@a",
        b"a\r\nx: y",
        b"a,b",
        b"\xc3\xa4",
        b":",
        b"a:",
    ],
)
def test_what_is_no_host_is_refused(host: bytes) -> None:
    with pytest.raises(ValueError, match="a redirect to the host"):
        Redirect(302, host=host)


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="a redirect to port"):
        Redirect(302, port=port)


def test_a_refusal_says_what_it_was_given() -> None:
    redirect = Redirect(302, host=b"example.org")
    refusal = Refusal(redirect=redirect)
    assert (refusal.status, refusal.share, refusal.redirect) == (0, 0, redirect)
    assert Plan(refusal=refusal).refusal is refusal
    with pytest.raises(ValueError, match="Refusal"):
        Refusal()
