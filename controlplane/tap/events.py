"""What is told of the traffic that is watched: JSON objects, one after the other.

An object with the key `notice` is about the watch itself; every other one is an event of one request, in the
shape of Linkerd's `tap -o json`, with two keys more: `exchange`, by which the up to three events of one
request are joined, and `proxy`, who told of it.

An object stands on a line of its own where they are streamed. An empty line says that the watch goes on.
Every text may have been chosen by whoever sent the request: it is escaped before a terminal or a page gets
it.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Direction = Literal["INBOUND", "OUTBOUND", "UNKNOWN"]


class StreamId(TypedDict):
    """What a proxy calls a request: unique in one proxy only."""

    base: int
    stream: int


class Duration(TypedDict, total=False):
    """As Go writes it: what is zero is left out."""

    seconds: int
    nanos: int


class Field(TypedDict):
    """A header or trailer. One whose value is no UTF-8 has it as base64, in `valueBin`."""

    name: str
    valueStr: NotRequired[str]
    valueBin: NotRequired[str]


class Peer(TypedDict):
    """One end of the connection: where it is, and what is known of it.

    Known are the labels of Linkerd's metrics: `pod`, `namespace`, the kind of its owner with its name
    (`deployment`), `serviceaccount`, `service`; and `tls`, `client_id`, `server_id`.
    """

    ip: str
    port: int
    metadata: dict[str, str]


class RequestInit(TypedDict):
    """A request that has begun. `headers` are null where they were not asked for."""

    id: StreamId
    method: str
    scheme: str
    authority: str
    path: str
    headers: list[Field] | None


class ResponseInit(TypedDict):
    """A response that has begun."""

    id: StreamId
    sinceRequestInit: Duration
    httpStatus: int
    headers: list[Field] | None


class ResponseEnd(TypedDict):
    """A request that is over. `ended` says what its end told: a status of gRPC (`grpcStatusCode`), that it
    was reset (`resetErrorCode`, HTTP/2's), or nothing but that; numbers that nobody told are 0 or left
    out, as Linkerd has them.
    """

    id: StreamId
    sinceRequestInit: Duration
    sinceResponseInit: Duration
    responseBytes: int
    trailers: list[Field] | None
    grpcStatusCode: int
    resetErrorCode: NotRequired[int]
    ended: Literal["grpc", "reset", "plain"]


class Proxy(TypedDict):
    """Whose proxy told of a request."""

    namespace: str
    pod: str


class TapEvent(TypedDict):
    """One event: exactly one of the last three keys is there.

    `proxyDirection` is INBOUND at the proxy of whoever serves, OUTBOUND at that of whoever asks; a request
    between two pods that are both watched is told of twice, in two exchanges. `routeMeta` are the labels of
    its route (`route`), or null.
    """

    source: Peer
    destination: Peer
    routeMeta: dict[str, str] | None
    proxyDirection: Direction
    exchange: str
    proxy: Proxy
    requestInitEvent: NotRequired[RequestInit]
    responseInitEvent: NotRequired[ResponseInit]
    responseEndEvent: NotRequired[ResponseEnd]


class Trouble(TypedDict):
    """A pod that is meant and cannot be watched now."""

    namespace: str
    pod: str
    reason: str


class Watching(TypedDict):
    """Who is watched: said first, and whenever it changes. Proxies that cannot be reached are asked again; of
    them at most twenty are named.
    """

    notice: Literal["watching"]
    pods: int
    troubles: list[Trouble]


class Lost(TypedDict):
    """How many events were lost since it was said last, because somebody did not keep up: the watcher, or who
    told.
    """

    notice: Literal["lost"]
    events: int


class Ended(TypedDict):
    """The last one: why nothing more comes."""

    notice: Literal["ended"]
    reason: str


Notice = Watching | Lost | Ended
Told = TapEvent | Notice
