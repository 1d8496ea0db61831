"""Questions to Linkerd's destination controller that were recorded, put to ours.

Answers are compared as messages; the order of addresses in one is nobody's business.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.destination.answers import ANSWERED_FROM
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.settings import Settings
from linkerd2_py.controlplane.mesh.objects import Node, Workload
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.proxy_api.service import DestinationService
from linkerd2_py.controlplane.sources.kubernetes.api_server import connect
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.sources.kubernetes.source import KubernetesSource
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import destination_pb2_grpc as stubs
from tests.support.cluster.recorded import RECORDED
from tests.support.recorded_answers import Recorded, camel_case
from tests.support.wait import eventually_async

LIMIT_S: Final = 30.0
KINDS: Final[Mapping[str, type[Message]]] = {
    "Get": messages.Update,
    "GetProfile": messages.DestinationProfile,
}


@dataclass(frozen=True)
class Answer:
    """All messages of a stream, as text, and how it ended: without code where nobody ended it."""

    messages: tuple[str, ...]
    code: str = ""
    words: str = ""

    def __str__(self) -> str:
        return "\n".join([*self.messages, f"{self.code} {self.words}"])


def recordings(folder: str) -> Iterator[Recorded]:
    """Those in a folder of `destination`; none where it is missing."""
    for file in sorted((RECORDED / "destination" / folder).glob("*.json")):
        if file.stem.startswith(("get-", "profile-")):
            yield Recorded.read(file)


def recorded_answer(recorded: Recorded) -> Answer:
    """What Linkerd's controller said."""
    said = recorded.messages(KINDS[recorded.case["rpc"]])
    return Answer(tuple(map(text_of, said)), recorded.code, recorded.message)


def differences(file: Path, folder: str) -> dict[str, str]:
    """Why answers to some of the recordings in a folder are not as Linkerd's."""
    listed = tomllib.loads(file.read_text())["difference"]
    return {one["case"]: one["reason"] for one in listed if folder in one["in"]}


def text_of(message: Message) -> str:
    """The message, its addresses in order."""
    found = type(message)()
    found.CopyFrom(message)
    if isinstance(found, messages.Update):
        for addresses in (found.add.addrs, found.remove.addrs):
            if addresses:
                ordered = sorted(
                    addresses, key=lambda one: one.SerializeToString(deterministic=True)
                )
                del addresses[:]
                addresses.extend(ordered)  # type: ignore[arg-type]  # of the kind that they were
    return str(found)


async def ask(recorded: Recorded, *, store: MeshStore, settings: Settings) -> Answer:
    """What the real gRPC service over `store` says: it ends a stream once it has said what it has to say."""
    destination = Destination(store, metrics=CollectorRegistry(), settings=settings)

    def streams() -> int:
        return destination.endpoints.streams + destination.profiles.streams

    async with served(destination) as stub:
        question = messages.GetDestination(
            path=recorded.case["path"], context_token=recorded.case.get("token", "")
        )
        call = getattr(stub, recorded.case["rpc"])(question)
        await eventually_async(lambda: streams() == 1 or call.done())
        is_open = streams() == 1
        destination.close()
        said = await _read(call)
        if is_open:
            return Answer(said)
        code = await call.code()
        return Answer(said, camel_case(code.name), await call.details())


@asynccontextmanager
async def followed(kubeconfig: Path) -> AsyncIterator[MeshStore]:
    """A store that is filled by the real API server."""
    api = await connect(kubeconfig)
    store = MeshStore()
    source = KubernetesSource(api, store=store, clock=SystemClock(), identities=Identities())
    kinds = (*ANSWERED_FROM, Node, Workload)
    try:
        await eventually_async(lambda: all(map(store.mesh.is_synced, kinds)), deadline_s=LIMIT_S)
        yield store
    finally:
        await source.stop()
        await api.close()


@asynccontextmanager
async def served(destination: Destination) -> AsyncIterator[stubs.DestinationStub]:
    """A client of the real service."""
    api = ProxyApi([DestinationService(destination).served()])
    api.bind()
    address = await api.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield stubs.DestinationStub(channel)  # type: ignore[no-untyped-call]
    finally:
        await api.stop(grace_s=0)


async def _read(call: grpc.aio.UnaryStreamCall[Any, Any]) -> tuple[str, ...]:
    """Until the stream ends, in whatever way."""
    said: list[str] = []
    with contextlib.suppress(grpc.aio.AioRpcError):
        async for message in call:
            said.append(text_of(message))  # noqa: PERF401  # what came before an error counts
    return tuple(said)
