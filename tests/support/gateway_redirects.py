"""What redirects of HTTPRoutes must answer: the mesh conformance cases of the Gateway API (v1.3) about them, and
those of gateways about ports and schemes, derived anew as data. The rules stand in one route; each is of a
path of its own.
"""

from typing import Any, NamedTuple


class Redirected(NamedTuple):
    """A request to `host`, and what it is told."""

    redirect: dict[str, Any]
    host: str
    path: str
    status: int
    location: str
    prefix: str = ""

    @property
    def rule(self) -> dict[str, Any]:
        prefix = self.prefix or self.path.partition("?")[0]
        return {
            "matches": [{"path": {"type": "PathPrefix", "value": prefix}}],
            "filters": [{"type": "RequestRedirect", "requestRedirect": self.redirect}],
        }


def full(path: str) -> dict[str, str]:
    return {"type": "ReplaceFullPath", "replaceFullPath": path}


def prefix(path: str) -> dict[str, str]:
    return {"type": "ReplacePrefixMatch", "replacePrefixMatch": path}


HOST = {"hostname": "example.org"}
NEW, WHOLE = prefix("/replacement-prefix"), full("/replacement-full")

CASES = [
    # httproute-redirect-host-and-status, httproute-{303,307,308}-redirect
    Redirected(HOST, "echo", "/hostname-redirect", 302, "http://example.org/hostname-redirect"),
    Redirected(
        {**HOST, "statusCode": 301},
        "echo", "/host-and-status", 301, "http://example.org/host-and-status",
    ),
    *(
        Redirected({**HOST, "statusCode": status}, "echo", f"/host-{status}", status,
                   f"http://example.org/host-{status}")
        for status in (303, 307, 308)
    ),
    # httproute-redirect-path
    Redirected({"path": NEW}, "echo", "/original-prefix/lemon", 302,
               "http://echo/replacement-prefix/lemon", "/original-prefix"),
    Redirected({"path": full("/full-path-replacement")}, "echo", "/full/path/original", 302,
               "http://echo/full-path-replacement", "/full"),
    Redirected({**HOST, "path": NEW}, "echo", "/path-and-host", 302,
               "http://example.org/replacement-prefix"),
    Redirected({"path": NEW, "statusCode": 301}, "echo", "/path-and-status", 301,
               "http://echo/replacement-prefix"),
    Redirected({"path": NEW, "statusCode": 307}, "echo", "/path-and-temporary/a?b=c", 307,
               "http://echo/replacement-prefix/a?b=c", "/path-and-temporary"),
    Redirected({**HOST, "path": WHOLE}, "echo", "/full-path-and-host", 302,
               "http://example.org/replacement-full"),
    Redirected({"path": WHOLE, "statusCode": 301}, "echo", "/full-path-and-status", 301,
               "http://echo/replacement-full"),
    Redirected({"path": WHOLE, "statusCode": 308}, "echo", "/full-path-and-permanent?b=c", 308,
               "http://echo/replacement-full?b=c"),
    Redirected({"path": prefix("/")}, "echo", "/strip/three", 302, "http://echo/three", "/strip"),
    Redirected({"path": prefix("")}, "echo", "/empty", 302, "http://echo/"),
    # httproute-redirect-port
    Redirected({"port": 8083}, "echo", "/port", 302, "http://echo:8083/port"),
    Redirected({**HOST, "port": 8083}, "echo", "/port-and-host", 302,
               "http://example.org:8083/port-and-host"),
    Redirected({"port": 8083, "statusCode": 301}, "echo", "/port-and-status", 301,
               "http://echo:8083/port-and-status"),
    Redirected({**HOST, "port": 8083, "statusCode": 302}, "echo", "/port-and-host-and-status", 302,
               "http://example.org:8083/port-and-host-and-status"),
    # httproute-redirect-scheme
    Redirected({"scheme": "https"}, "echo", "/scheme", 302, "https://echo/scheme"),
    Redirected({**HOST, "scheme": "https"}, "echo", "/scheme-and-host", 302,
               "https://example.org/scheme-and-host"),
    Redirected({"scheme": "https", "statusCode": 301}, "echo", "/scheme-and-status", 301,
               "https://echo/scheme-and-status"),
    # httproute-redirect-port-and-scheme: asked for at port 80, then at 8080
    Redirected({**HOST, "port": 80}, "echo", "/none-80", 302, "http://example.org/none-80"),
    Redirected({**HOST, "port": 8080}, "echo", "/none-8080", 302, "http://example.org:8080/none-8080"),
    Redirected({**HOST, "scheme": "https", "port": 443}, "echo", "/https-443", 302,
               "https://example.org/https-443"),
    Redirected({**HOST, "scheme": "https", "port": 8443}, "echo", "/https-8443", 302,
               "https://example.org:8443/https-8443"),
    Redirected(HOST, "echo:8080", "/from-8080", 302, "http://example.org:8080/from-8080"),
    Redirected({**HOST, "port": 80}, "echo:8080", "/from-8080-to-80", 302,
               "http://example.org/from-8080-to-80"),
    Redirected({**HOST, "scheme": "https"}, "echo:8080", "/from-8080-to-https", 302,
               "https://example.org/from-8080-to-https"),
]  # fmt: skip
