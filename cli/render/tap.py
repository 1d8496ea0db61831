"""Events of live traffic as lines, in Linkerd's words. Every text in them may be anybody's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final

from linkerd2_py.base.logs import printable

Event = Mapping[str, Any]

_CODES: Final = (
    *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound"),
    *("AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted"),
    *("OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated"),
)
"""As Go calls them."""
_ORDER: Final = (
    *("source", "destination", "routeMeta", "proxyDirection", "requestInitEvent"),
    *("responseInitEvent", "responseEndEvent", "exchange", "proxy"),
)


def line_of(event: Event, *, wide: bool = False) -> str:
    """One line; `wide`: with what is known of both ends, and of the route."""
    words = [_plain(event)]
    if wide:
        words += _labels(event["source"], side="src")
        words += _labels(event["destination"], side="dst")
        words += [f"rt_{name}={value}" for name, value in sorted(_mapping(event, "routeMeta"))]
    return printable(" ".join(words))


def json_of(event: Event) -> str:
    """The object, two spaces deep: Linkerd's keys in its order, then ours."""
    return json_text(as_json(event))


def as_json(event: Event) -> dict[str, Any]:
    """As Linkerd has it: what is known of nobody is null."""
    shown = {name: event[name] for name in _ORDER if name in event}
    for side in ("source", "destination"):
        shown[side] = {**shown[side], "metadata": shown[side]["metadata"] or None}
    return shown


def json_text(document: Any) -> str:
    """No character in it does anything to a terminal: within JSON's texts all can be written otherwise."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return "".join(
        one if one == "\n" or one.isprintable() else json.dumps(one)[1:-1] for one in text
    )


def code_name(code: int) -> str:
    """gRPC's status."""
    return _CODES[code] if 0 <= code < len(_CODES) else f"Code({code})"


def seconds_of(duration: Mapping[str, int]) -> float:
    """Of one that is said in seconds and nanoseconds."""
    return float(duration.get("seconds", 0)) + duration.get("nanos", 0) / 1e9


def microseconds_of(duration: Mapping[str, int]) -> int:
    """The same, cut off."""
    return int(duration.get("seconds", 0)) * 1_000_000 + int(duration.get("nanos", 0)) // 1000


def address_of(peer: Mapping[str, Any]) -> str:
    """`ip:port`, as it is written in URLs."""
    ip, port = str(peer["ip"]), peer["port"]
    try:
        return f"[{ip}]:{port}" if ip_address(ip).version == 6 else f"{ip}:{port}"
    except ValueError:
        return f"{ip}:{port}"


def _plain(event: Event) -> str:
    source, destination = event["source"], event["destination"]
    proxy, tls = "???", ""
    if event["proxyDirection"] == "INBOUND":
        # As wide as the other.
        proxy, tls = "in ", source["metadata"].get("tls", "")
    elif event["proxyDirection"] == "OUTBOUND":
        proxy, tls = "out", destination["metadata"].get("tls", "")
    ends = f"src={address_of(source)} dst={address_of(destination)}"
    flow = f"proxy={proxy} {ends} tls={tls}"
    if request := event.get("requestInitEvent"):
        what = (
            f":method={request['method']} :authority={request['authority']} :path={request['path']}"
        )
        return f"req {_id(request)} {flow} {what}"
    if response := event.get("responseInitEvent"):
        latency = microseconds_of(response["sinceRequestInit"])
        return f"rsp {_id(response)} {flow} :status={response['httpStatus']} latency={latency}µs"
    if end := event.get("responseEndEvent"):
        duration = microseconds_of(end["sinceResponseInit"])
        size = f"duration={duration}µs response-length={end['responseBytes']}B"
        return " ".join(filter(None, [f"end {_id(end)}", flow, _how(end), size]))
    return f"unknown {flow}"


def _id(part: Mapping[str, Any]) -> str:
    return f"id={part['id']['base']}:{part['id']['stream']}"


def _how(end: Mapping[str, Any]) -> str:
    if end["ended"] == "grpc":
        return f"grpc-status={code_name(end['grpcStatusCode'])}"
    if end["ended"] == "reset":
        return f"reset-error={end.get('resetErrorCode', 0)}"
    return ""


def _labels(peer: Mapping[str, Any], *, side: str) -> list[str]:
    return sorted(f"{side}_{name}={value}" for name, value in _mapping(peer, "metadata"))


def _mapping(of: Mapping[str, Any], name: str) -> Iterator[tuple[str, str]]:
    yield from (of.get(name) or {}).items()
