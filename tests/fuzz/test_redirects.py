"""Where redirects lead, beside a model that takes URLs apart with the standard library; and that nothing that
a request says gets into a location as anything but a part of its path.
"""

import re
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from hypothesis import example, given
from hypothesis import strategies as st

from linkerd2_py._ext.exchange.new_path import NewPath
from linkerd2_py._ext.exchange.redirect import Redirect
from linkerd2_py._ext.exchange.testing import Asked, redirected, sound_authority, sound_path

PORTS = {"http": 80, "https": 443}
HOSTS = ["web", "WEB.test", "a-b.c_d~e.test", "10.0.0.1", "[fd00::1]", "123", "web."]
SEGMENTS = ["", "a", "b", "..", "%2F", "a;b", "a:80", "a=b&c", "@", "\\"]

hosts = st.sampled_from(HOSTS)
ports = st.sampled_from([0, 1, 80, 443, 8080, 65535])
paths = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4).map(
    lambda one: "/" + "/".join(one)
)
queries = st.sampled_from(["", "?", "?a=b", "?a=/b?c", "?//x"])


@st.composite
def requests(draw: st.DrawFn) -> str:
    port = draw(ports)
    authority = draw(hosts) + (f":{port}" if port else draw(st.sampled_from(["", ":"])))
    scheme = draw(st.sampled_from(["http", "https"]))
    return f"{scheme}://{authority}{draw(paths)}{draw(queries)}"


@st.composite
def new_paths(draw: st.DrawFn, url: str) -> tuple[str, int] | None:
    """A path, and how much of the request's it takes the place of: whole segments, or all (-1)."""
    kind = draw(st.sampled_from(["none", "whole", "beginning"]))
    if kind == "none":
        return None
    if kind == "whole":
        return draw(paths) + draw(queries), -1
    path = urlsplit(url).path
    ends = [at for at in range(len(path)) if path[at] == "/"] + [len(path)]
    return draw(paths), draw(st.sampled_from(ends))


def model(
    url: str, *, scheme: str, host: str, port: int, path: tuple[str, int] | None
) -> str | None:
    """Where it leads; None: where it is."""
    own = urlsplit(url)
    new_scheme = scheme or own.scheme
    name = own.netloc.removesuffix(":")
    if own.port is not None:
        name = name.removesuffix(f":{own.port}")
    old_port = own.port or PORTS[own.scheme]
    if port:
        new_port = port
    elif scheme:
        new_port = PORTS[scheme]
    else:
        new_port = old_port
    place = new_scheme, (host or name).lower(), new_port
    target = (own.path, url.partition("?")[2] if "?" in url else None)
    moved = new_target(target, path)
    if place == (own.scheme, name.lower(), old_port) and moved == target:
        return None
    shown = "" if new_port == PORTS[new_scheme] else f":{new_port}"
    made = urlunsplit(SplitResult(new_scheme, (host or name) + shown, moved[0], "", ""))
    return made if moved[1] is None else f"{made}?{moved[1]}"


def new_target(
    target: tuple[str, str | None], path: tuple[str, int] | None
) -> tuple[str, str | None]:
    if path is None:
        return target
    text, cut = path
    if cut < 0:
        new, mark, query = text.partition("?")
        return (new, query) if mark else (new, target[1])
    segments = f"{text.removesuffix('/')}{target[0][cut:]}"
    return segments or "/", target[1]


@given(st.data())
def test_redirects_lead_where_the_model_says(data: st.DataObject) -> None:
    url = data.draw(requests())
    path = data.draw(new_paths(url))
    said = {
        "scheme": data.draw(st.sampled_from(["", "http", "https"])),
        "host": data.draw(st.sampled_from(["", "example.org", "web", "[::1]"])),
        "port": data.draw(ports),
    }
    redirect = Redirect(
        302,
        scheme=str(said["scheme"]).encode(),
        host=str(said["host"]).encode(),
        port=int(said["port"]),
        path=None if path is None else NewPath(path[0].encode(), cut=path[1]),
    )
    found = redirected(redirect, asked(url))
    expected = model(url, **said, path=path)  # type: ignore[arg-type]
    assert found == ("nowhere else" if expected is None else expected.encode())


def asked(url: str) -> Asked:
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return Asked(path=(slash + path).encode(), authority=authority.encode(), scheme=scheme.encode())


WHATEVER = st.binary(max_size=40)


@given(
    authority=WHATEVER, path=WHATEVER, scheme=st.sampled_from([b"", b"http", b"HTTPS", b"gopher"])
)
@example(authority=b"a\r\nset-cookie: b=c", path=b"/", scheme=b"http")
@example(authority=b"web", path=b"/\xff?\x80", scheme=b"")
def test_a_location_is_a_uri_of_the_redirects_host(
    authority: bytes, path: bytes, scheme: bytes
) -> None:
    """Of bytes that some codec might let in: those that ours does not, too, where that is about the host."""
    sound = sound_path(b"/" + path)
    if not sound:
        return
    found = redirected(
        Redirect(302, port=8083), Asked(authority=authority, path=b"/" + path, scheme=scheme)
    )
    if not sound_authority(authority):
        assert found == "unknown"
    elif isinstance(found, bytes):
        assert re.fullmatch(rb"https?://[!-~]+", found)
        assert urlsplit(found.decode()).port == 8083
        assert found.endswith(quote(b"/" + path, safe=bytes(range(0x80))).encode())
