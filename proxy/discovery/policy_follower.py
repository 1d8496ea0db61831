"""The policy stream of one target, and whom it tells."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from linkerd2_py.base.grpc.status import Code
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.addresses import Authority, SocketAddr
from linkerd2_py.proxy.discovery.client_policy import ClientPolicy, client_policy
from linkerd2_py.proxy.discovery.object_ref import object_ref
from linkerd2_py.proxy.discovery.ways import Refused
from linkerd2_py.proxy.grpc.follow import FINAL
from linkerd2_py.proxy.policy.api import UNKNOWN, PolicyApi

logger = logging.getLogger(__name__)

NOT_HAD: Final = Refused(502, "outbound policy cannot be had")
INVALID: Final = Refused(500, "invalid outbound policy")


_PROTOCOLS: Final = {
    "http1": "http/1",
    "http2": "http/2",
    "grpc": "http/2",
    "opaque": "opaq",
    "tls": "tls",
}


def _protocol(message: outbound.OutboundPolicy) -> str:
    kind = message.protocol.WhichOneof("kind") or ""
    return _PROTOCOLS.get(kind, "detect")


class Watching(Protocol):
    """Who hears of a policy, or of the code that is the final answer."""

    def on_policy(self, policy: ClientPolicy) -> None: ...
    def on_policy_rejected(self, code: Code) -> None: ...


class PolicyFollower:
    """What was said holds until something else is; who waits for the first answer waits on."""

    def __init__(self, subject: SocketAddr | Authority, *, watch: Watching) -> None:
        self._subject = subject
        self._watch = watch
        self._final = set(FINAL | UNKNOWN)

    def start(self, api: PolicyApi) -> asyncio.Task[None]:
        return api.watch(self._subject, follower=self, final=self._final)

    def on_connected(self) -> None:
        """Nothing new was said."""

    def on_message(self, raw: bytes) -> None:
        message = outbound.OutboundPolicy.FromString(raw)
        # What was forbidden stays so while a controller that begins anew does not know its objects yet.
        self._final -= UNKNOWN
        try:
            policy = client_policy(message)._replace(
                parent=object_ref(message.metadata), protocol=_protocol(message)
            )
        except ValueError as error:
            logger.warning("%s: invalid policy, all is refused: %s", self._subject, error)
            policy = ClientPolicy(INVALID, None)
        self._watch.on_policy(policy)

    def on_failed(self) -> None:
        """Nor does a controller that is away change anything."""

    def on_rejected(self, code: Code) -> None:
        self._watch.on_policy_rejected(code)
