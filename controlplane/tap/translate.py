"""From what a proxy tells to the JSON that watchers get."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from google.protobuf.duration_pb2 import Duration as DurationMessage

from linkerd2_py.controlplane.tap.events import (
    Duration,
    Field,
    Peer,
    Proxy,
    RequestInit,
    ResponseEnd,
    ResponseInit,
    StreamId,
    TapEvent,
)
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proto.gen.net_pb2 import IPAddress, TcpAddress
from linkerd2_py.proto.gen.tap_pb2 import TapEvent as TapEventMessage

Http = TapEventMessage.Http
_DIRECTIONS: Mapping[int, Literal["INBOUND", "OUTBOUND"]] = {
    TapEventMessage.INBOUND: "INBOUND",
    TapEventMessage.OUTBOUND: "OUTBOUND",
}


def event_of(told: TapEventMessage, *, proxy: Proxy, call: str) -> TapEvent | None:
    """None for one of a kind that nobody here knows. `call` is one stream of that proxy among all that ever
    were.
    """
    kind = told.http.WhichOneof("event")
    if kind is None:
        return None
    identity: StreamId = _id(getattr(told.http, kind).id)
    event: TapEvent = {
        "source": _peer(told.source, told.source_meta.labels),
        "destination": _peer(told.destination, told.destination_meta.labels),
        "routeMeta": dict(told.route_meta.labels) or None,
        "proxyDirection": _DIRECTIONS.get(told.proxy_direction, "UNKNOWN"),
        "exchange": f"{call}.{identity['base']}.{identity['stream']}",
        "proxy": proxy,
    }
    if kind == "request_init":
        event["requestInitEvent"] = _request(told.http.request_init)
    elif kind == "response_init":
        event["responseInitEvent"] = _response(told.http.response_init)
    else:
        event["responseEndEvent"] = _end(told.http.response_end)
    return event


def ip_of(address: IPAddress) -> str:
    """As text; empty where there is none."""
    match address.WhichOneof("ip"):
        case "ipv4":
            return str(IPv4Address(address.ipv4))
        case "ipv6":
            return str(IPv6Address(address.ipv6.first << 64 | address.ipv6.last))
    return ""


def _request(told: Http.RequestInit) -> RequestInit:
    return {
        "id": _id(told.id),
        "method": _method(told.method),
        "scheme": _scheme(told.scheme),
        "authority": told.authority,
        "path": told.path,
        "headers": _fields(told.headers) if told.HasField("headers") else None,
    }


def _response(told: Http.ResponseInit) -> ResponseInit:
    return {
        "id": _id(told.id),
        "sinceRequestInit": _duration(told.since_request_init),
        "httpStatus": told.http_status,
        "headers": _fields(told.headers) if told.HasField("headers") else None,
    }


def _end(told: Http.ResponseEnd) -> ResponseEnd:
    how = told.eos.WhichOneof("end")
    end: ResponseEnd = {
        "id": _id(told.id),
        "sinceRequestInit": _duration(told.since_request_init),
        "sinceResponseInit": _duration(told.since_response_init),
        "responseBytes": told.response_bytes,
        "trailers": _fields(told.trailers) if told.HasField("trailers") else None,
        "grpcStatusCode": told.eos.grpc_status_code,
        "ended": "plain",
    }
    if how == "grpc_status_code":
        end["ended"] = "grpc"
    elif how == "reset_error_code":
        end["ended"] = "reset"
        end["resetErrorCode"] = told.eos.reset_error_code
    return end


def _id(told: Http.StreamId) -> StreamId:
    return {"base": told.base, "stream": told.stream}


def _peer(address: TcpAddress, labels: Mapping[str, str]) -> Peer:
    return {"ip": ip_of(address.ip), "port": address.port, "metadata": dict(labels)}


def _duration(told: DurationMessage) -> Duration:
    duration: Duration = {}
    if told.seconds:
        duration["seconds"] = told.seconds
    if told.nanos:
        duration["nanos"] = told.nanos
    return duration


def _method(told: http_types.HttpMethod) -> str:
    if told.WhichOneof("type") == "registered":
        known = http_types.HttpMethod.Registered
        return known.Name(told.registered) if told.registered in known.values() else ""
    return told.unregistered


def _scheme(told: http_types.Scheme) -> str:
    if told.WhichOneof("type") == "registered":
        known = http_types.Scheme.Registered
        return known.Name(told.registered) if told.registered in known.values() else ""
    return told.unregistered


def _fields(told: http_types.Headers) -> list[Field]:
    return [_field(one.name, one.value) for one in told.headers]


def _field(name: str, value: bytes) -> Field:
    try:
        return {"name": name, "valueStr": value.decode()}
    except UnicodeDecodeError:
        return {"name": name, "valueBin": base64.b64encode(value).decode()}
