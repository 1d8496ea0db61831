"""What Linkerd's own destination controller answered, and what ours answers to the same questions.

Both are compared as messages; the order of addresses in one is nobody's business.
"""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.settings import Settings
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.proxy_api.service import DestinationService
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import destination_pb2_grpc as stubs
from tests.support.wait import eventually_async

RECORDED: Final = Path(__file__).resolve().parents[3] / "shared" / "contract"
MISSING: Final = f"{RECORDED} is not there"
OPEN: Final = "open"
"""The status of a stream that nobody ended."""
_KINDS: Final[Mapping[str, type[Message]]] = {
    "Get": messages.Update,
    "GetProfile": messages.DestinationProfile,
}


@dataclass(frozen=True)
class Answer:
    """All messages of a stream, as text, and how it ended."""

    messages: tuple[str, ...]
    status: str
    words: str = ""

    def __str__(self) -> str:
        return "\n".join([*self.messages, f"{self.status} {self.words}"])


@dataclass(frozen=True)
class Recording:
    """One question and its answer."""

    name: str
    rpc: str
    path: str
    token: str
    answer: Answer


def recordings(folder: str) -> Iterator[Recording]:
    """Those in a folder of `destination`; none where it is missing."""
    for file in sorted((RECORDED / "destination" / folder).glob("*.json")):
        found = json.loads(file.read_text())
        if "case" in found and found["case"]["rpc"] in _KINDS:
            yield _recording(found)


def objects() -> list[dict[str, Any]]:
    """What the cluster had that was asked about, in the order of its making."""
    found = json.loads((RECORDED / "objects.json").read_text())["items"]
    assert isinstance(found, list)
    return [*found, _OWNER]


# Who owned the pods of `web` is not among the objects, but in the answers.
_OWNER: Final[dict[str, Any]] = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {
        "namespace": "shop",
        "name": "web-5d4f8c7b9",
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": "web",
                "uid": "74d56405-cb03-4150-b8e0-1d07dc71ebf6",
                "controller": True,
            }
        ],
    },
}


def cluster_ips(name: str) -> dict[str, str]:
    """Which virtual addresses its services had."""
    found = json.loads((RECORDED / name).read_text())
    return {service: ip for service, ip in found.items() if ip}


def differences(file: Path, folder: str) -> dict[str, str]:
    """Why answers to some of the recordings in a folder are not as Linkerd's."""
    listed = tomllib.loads(file.read_text())["difference"]
    return {one["case"]: one["reason"] for one in listed if folder in one["in"]}


def _recording(found: dict[str, Any]) -> Recording:
    case, code = found["case"], found["grpc_code"]
    status = OPEN if code.startswith("(stream stayed open") else code
    kind = _KINDS[case["rpc"]]
    said = tuple(text_of(kind.FromString(bytes.fromhex(one))) for one in found["wire_hex"] or ())
    answer = Answer(said, status, found.get("grpc_message", ""))
    return Recording(case["name"], case["rpc"], case["path"], case.get("token", ""), answer)


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


class Asker:
    """Puts questions to the real gRPC service over `store`."""

    def __init__(self, store: MeshStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def ask(self, recording: Recording) -> Answer:
        """The whole answer: the service ends a stream once it has said what it has to say."""
        destination = Destination(self._store, metrics=CollectorRegistry(), settings=self._settings)
        async with _served(destination) as stub:
            question = messages.GetDestination(path=recording.path, context_token=recording.token)
            call = getattr(stub, recording.rpc)(question)

            def streams() -> int:
                return destination.endpoints.streams + destination.profiles.streams

            await eventually_async(lambda: streams() == 1 or call.done())
            is_open = streams() == 1
            destination.close()
            said = await _read(call)
            if is_open:
                return Answer(said, OPEN)
            code = await call.code()
            name = "".join(word.title() for word in code.name.split("_"))
            return Answer(said, name, await call.details())


async def _read(call: grpc.aio.UnaryStreamCall[Any, Any]) -> tuple[str, ...]:
    """Until the stream ends, in whatever way."""
    said: list[str] = []
    with contextlib.suppress(grpc.aio.AioRpcError):
        async for message in call:
            said.append(text_of(message))  # noqa: PERF401  # what came before an error counts
    return tuple(said)


@asynccontextmanager
async def _served(destination: Destination) -> AsyncIterator[stubs.DestinationStub]:
    api = ProxyApi([DestinationService(destination).served()])
    api.bind()
    address = await api.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield stubs.DestinationStub(channel)  # type: ignore[no-untyped-call]
    finally:
        await api.stop(grace_s=0)
