"""Events of live traffic as a control plane tells them: those of Linkerd's own golden files, and hostile
ones."""

from __future__ import annotations

from typing import Any

# Linkerd's two events of one test, by which it holds all forms of its output.
BUSY: list[dict[str, Any]] = [
    {
        "source": {"ip": "0.0.0.1", "port": 0, "metadata": {}},
        "destination": {"ip": "ff01::1", "port": 0, "metadata": {"pod": "my-pod", "tls": "true"}},
        "routeMeta": None,
        "proxyDirection": "OUTBOUND",
        "exchange": "1.1.0",
        "proxy": {"namespace": "ns", "pod": "web-0"},
        "requestInitEvent": {
            "id": {"base": 1, "stream": 0},
            "method": "GET",
            "scheme": "HTTPS",
            "authority": "localhost",
            "path": "/some/path",
            "headers": [
                {"name": "header-name-1", "valueStr": "header-value-str-1"},
                {"name": "header-name-2", "valueBin": "aGVhZGVyLXZhbHVlLWJpbi0y"},
            ],
        },
    },
    {
        "source": {"ip": "0.0.0.1", "port": 0, "metadata": {}},
        "destination": {"ip": "ff01::1", "port": 0, "metadata": {}},
        "routeMeta": None,
        "proxyDirection": "OUTBOUND",
        "exchange": "1.1.0",
        "proxy": {"namespace": "ns", "pod": "web-0"},
        "responseEndEvent": {
            "id": {"base": 1, "stream": 0},
            "sinceRequestInit": {"seconds": 10},
            "sinceResponseInit": {"seconds": 100},
            "responseBytes": 1337,
            "trailers": [{"name": "trailer-name", "valueBin": "aGVhZGVyLXZhbHVlLWJpbg=="}],
            "grpcStatusCode": 666,
            "ended": "grpc",
        },
    },
]


def exchange(
    name: str,
    *,
    path: str = "/",
    method: str = "GET",
    source: str = "web-0",
    destination: str = "voting-0",
    status: int = 200,
    grpc: int | None = None,
    reset: int | None = None,
    micros: int = 1_000,
    route: str = "",
    direction: str = "INBOUND",
) -> list[dict[str, Any]]:
    """All three of one request."""
    about: dict[str, Any] = {
        "source": {"ip": "10.0.0.1", "port": 4000, "metadata": {"pod": source, "tls": "true"}},
        "destination": {"ip": "10.0.0.2", "port": 8080, "metadata": {"pod": destination}},
        "routeMeta": {"route": route} if route else None,
        "proxyDirection": direction,
        "exchange": name,
        "proxy": {"namespace": "emojivoto", "pod": destination},
    }
    identity = {"base": 0, "stream": 1}
    took = {"seconds": micros // 1_000_000, "nanos": micros % 1_000_000 * 1000}
    request = {
        "id": identity,
        "method": method,
        "scheme": "HTTP",
        "authority": "voting-svc:8080",
        "path": path,
        "headers": None,
    }
    response = {
        "id": identity,
        "sinceRequestInit": took,
        "httpStatus": status,
        "headers": None,
    }
    end: dict[str, Any] = {
        "id": identity,
        "sinceRequestInit": took,
        "sinceResponseInit": {},
        "responseBytes": 5,
        "trailers": None,
        "grpcStatusCode": grpc or 0,
        "ended": "plain" if grpc is None else "grpc",
    }
    if reset is not None:
        end |= {"ended": "reset", "resetErrorCode": reset}
    return [
        {**about, "requestInitEvent": request},
        {**about, "responseInitEvent": response},
        {**about, "responseEndEvent": end},
    ]
