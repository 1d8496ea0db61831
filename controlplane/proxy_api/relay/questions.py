"""Which questions are relayed, and what of a request the answer depends on: two requests that differ in
nothing else are one question.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from linkerd2_py.controlplane.proxy_api.relay.memory import Endpoints, Latest, Memory
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import outbound_pb2 as outbound

DESTINATION: Final = "io.linkerd.proxy.destination.Destination"
INBOUND: Final = "io.linkerd.proxy.inbound.InboundServerPolicies"
OUTBOUND: Final = "io.linkerd.proxy.outbound.OutboundPolicies"

SERVICES: Final = (DESTINATION, INBOUND, OUTBOUND)


@dataclass(frozen=True, slots=True)
class Standing:
    """A method whose answer goes on. `lost_is_empty`: when what was asked for is not there any more,
    nothing is left of the answer.
    """

    reduce: Callable[[bytes], bytes]
    memory: Callable[[], Memory]
    lost_is_empty: bool = False


class Question(NamedTuple):
    """What is asked: the path of a method, and the request in its reduced form."""

    method: str
    request: bytes


def _get(request: bytes) -> bytes:
    """Where the proxy is may matter, and whether it prefers what is near."""
    return _about(request, field="nodeName")


def _get_profile(request: bytes) -> bytes:
    """In whose name the proxy speaks may matter."""
    return _about(request, field="ns")


def _about(request: bytes, *, field: str) -> bytes:
    try:
        asked = messages.GetDestination.FromString(request)
    except DecodeError:
        # Whoever answers says so.
        return request
    said = _said(asked.context_token, field=field)
    token = json.dumps({field: said}) if said else ""
    reduced = messages.GetDestination(
        path=asked.path, context_token=token, prefers_near=asked.prefers_near
    )
    return reduced.SerializeToString(deterministic=True)


def _said(token: str, *, field: str) -> str:
    """One field of a proxy's token; `ns:NAMESPACE` is how old proxies wrote theirs."""
    try:
        found = json.loads(token)
    except (ValueError, RecursionError):
        return token.removeprefix("ns:") if field == "ns" and token.startswith("ns:") else ""
    said = found.get(field) if isinstance(found, dict) else ""
    return said if isinstance(said, str) else ""


def _outbound(request: bytes) -> bytes:
    """In whose name the proxy speaks matters, and not which of its namespace's pods it is in."""
    try:
        asked = outbound.TrafficSpec.FromString(request)
    except DecodeError:
        return request
    namespace = _said(asked.source_workload, field="ns")
    if not namespace:
        # Of other forms, whoever answers says what they are.
        return request
    asked.source_workload = json.dumps({"ns": namespace, "pod": "-"})
    return asked.SerializeToString(deterministic=True)


def _whole(request: bytes) -> bytes:
    return request


STANDING: Final = {
    f"/{DESTINATION}/Get": Standing(_get, Endpoints, lost_is_empty=True),
    f"/{DESTINATION}/GetProfile": Standing(_get_profile, Latest),
    f"/{INBOUND}/WatchPort": Standing(_whole, Latest),
    f"/{OUTBOUND}/Watch": Standing(_outbound, Latest),
}
AT_ONCE: Final = (f"/{INBOUND}/GetPort", f"/{OUTBOUND}/Get")
"""Methods that are answered once, and passed on as they are."""
