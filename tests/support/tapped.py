"""Whole proxies that may be tapped, and who taps them: gRPC's own client with a certificate of the mesh."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tap import SERVICE_ACCOUNT
from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.identity.certifier import certify
from linkerd2_py.proto.gen.tap_pb2 import ObserveRequest, TapEvent
from linkerd2_py.proto.gen.tap_pb2_grpc import TapStub
from tests.support.certificates import new_key
from tests.support.certified import DOMAIN, Certified, certified, name_in
from tests.support.sidecar import InProcess, address_of, sidecar
from tests.support.wait import eventually_async

TAP_IDENTITY = DOMAIN.identity(SERVICE_ACCOUNT, namespace=DOMAIN.control_namespace)
EVERYTHING = ObserveRequest.Match(all=ObserveRequest.Match.Seq())
HEADERS = ObserveRequest.Extract(
    http=ObserveRequest.Extract.Http(headers=ObserveRequest.Extract.Http.Headers())
)


@asynccontextmanager
async def tapped(
    mesh: Certified, workload: tuple[str, int], **variables: str
) -> AsyncIterator[InProcess]:
    """A proxy before that workload, in either direction, which may be tapped."""
    static = f"127.0.0.1:0={workload[0]}:{workload[1]}"
    async with sidecar(
        INBOUND_STATIC_PORTS=static,
        OUTBOUND_STATIC_PORTS=static,
        CONTROL_LISTEN_ADDR="127.0.0.1:0",
        TAP_SVC_NAME=TAP_IDENTITY,
        **{**mesh.with_key("web"), **variables},
    ) as proxy:
        yield proxy


def tap_of(proxy: InProcess) -> tuple[str, int]:
    return address_of(proxy.listeners["tap"])


def asked(
    match: ObserveRequest.Match = EVERYTHING, *, limit: int = 1000, headers: bool = False
) -> ObserveRequest:
    return ObserveRequest(limit=limit, match=match, extract=HEADERS if headers else None)


def as_client(mesh: Certified, identity: str) -> grpc.ChannelCredentials:
    """With a certificate of the mesh for that name."""
    key = new_key()
    made = certify(
        key.public_key(),
        identity=identity,
        issuer=mesh.issuer,
        now=SystemClock().wall(),
        validity=mesh.validity,
    )
    chain = b"".join(
        x509.load_der_x509_certificate(one).public_bytes(Encoding.PEM)
        for one in (made.leaf, *made.intermediates)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return grpc.ssl_channel_credentials(mesh.anchors, private, chain)


@asynccontextmanager
async def tap_channel(
    address: tuple[str, int], *, name: str, credentials: grpc.ChannelCredentials | None
) -> AsyncIterator[grpc.aio.Channel]:
    """To the proxy that proves `name`; without credentials in plain text."""
    at = f"{address[0]}:{address[1]}"
    # What may be on its way to who does not read is then HTTP/2's first window, no guess at the network.
    options: list[tuple[str, str | int]] = [("grpc.http2.bdp_probe", 0)]
    options += [("grpc.ssl_target_name_override", name)]
    if credentials is None:
        channel = grpc.aio.insecure_channel(at, options=options[:1])
    else:
        channel = grpc.aio.secure_channel(at, credentials, options=options)
    async with channel:
        yield channel


@dataclass
class Watching:
    """One call of Observe, and what it has heard."""

    call: Any
    events: list[TapEvent] = field(default_factory=list)
    ended: bool = False

    async def listen(self) -> None:
        async for event in self.call:
            self.events.append(event)
        self.ended = True

    async def until(self, truth: Callable[[list[TapEvent]], object], *, what: str = "") -> None:
        await eventually_async(lambda: truth(self.events), what=what or "events of a tap")

    def has_ended(self) -> bool:
        return self.ended

    def kinds(self) -> list[str]:
        return [kind_of(event) for event in self.events]

    def stories(self) -> dict[tuple[int, int], list[TapEvent]]:
        """The events of each request."""
        found: dict[tuple[int, int], list[TapEvent]] = {}
        for event in self.events:
            found.setdefault(id_of(event), []).append(event)
        return found


def kind_of(event: TapEvent) -> str:
    return str(event.http.WhichOneof("event"))


def id_of(event: TapEvent) -> tuple[int, int]:
    found = getattr(event.http, kind_of(event)).id
    return found.base, found.stream


def observe(channel: grpc.aio.Channel, request: ObserveRequest, metadata: Mapping[str, str]) -> Any:
    stub = TapStub(channel)  # type: ignore[no-untyped-call]
    fields = [(name.replace("_", "-"), value) for name, value in metadata.items()]
    return stub.Observe(request, metadata=fields)


@asynccontextmanager
async def observing(
    channel: grpc.aio.Channel, request: ObserveRequest, **metadata: str
) -> AsyncIterator[Watching]:
    """A tap that is there; it is given up at the end."""
    call = observe(channel, request, metadata)
    watching = Watching(call)
    await call.initial_metadata()
    listening = spawn(watching.listen(), name="watching")
    try:
        yield watching
    finally:
        call.cancel()
        await asyncio.wait([listening])


@asynccontextmanager
async def entitled(proxy: InProcess, mesh: Certified) -> AsyncIterator[grpc.aio.Channel]:
    """To that proxy's tap, from who may."""
    credentials = as_client(mesh, TAP_IDENTITY)
    async with tap_channel(tap_of(proxy), name=name_in("web"), credentials=credentials) as channel:
        yield channel


@asynccontextmanager
async def watched(
    folder: Path, workload: tuple[str, int], *, headers: bool = False, **variables: str
) -> AsyncIterator[tuple[InProcess, Watching]]:
    """A proxy before that workload, and a tap of all that passes it."""
    async with (
        certified(folder) as mesh,
        tapped(mesh, workload, **variables) as proxy,
        entitled(proxy, mesh) as channel,
        observing(channel, asked(headers=headers)) as watching,
    ):
        yield proxy, watching


async def refusal(
    channel: grpc.aio.Channel, request: ObserveRequest, **metadata: str
) -> tuple[grpc.StatusCode, str]:
    """How a call ends that hears nothing."""
    call = observe(channel, request, metadata)
    heard: Awaitable[Any] = call.read()
    try:
        await heard
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return await call.code(), await call.details()
