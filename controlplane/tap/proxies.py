"""Calls to proxies, over the engine's own HTTP/2 and TLS: each proves to be its pod, and we who we are."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from linkerd2_py._ext.io.actor import Actor
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.local_client import LocalClient
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py._ext.tls.identity import LocalIdentity, ServerIdentity
from linkerd2_py.base.event_loop import leave, run_inside
from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.base.names import split_authority
from linkerd2_py.base.tasks import report_failure
from linkerd2_py.controlplane.mesh.objects import Pod

REQUIRE_ID: Final = b"l5d-require-id"
_S: Final = 1_000_000_000
_SETTINGS: Final = PoolSettings(
    failfast_ns=3 * _S,
    connect_timeout_ns=2 * _S,
    backoff_min_ns=_S // 5,
    backoff_max_ns=5 * _S,
)


class Called(NamedTuple):
    """A proxy that may be called, and the metadata that each call to it has."""

    client: GrpcClient
    metadata: tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class _Known:
    target: Target
    spec: EndpointSpec
    used: int = field(default=0)


class Proxies:
    """From `start` to `stop`. With an `identity` TLS is spoken here; without one it is whoever carries our
    traffic, a proxy beside us, that speaks it, and is told who must answer.
    """

    def __init__(self, *, identity: LocalIdentity | None = None) -> None:
        self._identity = identity
        self._engine = Loop(busy_wait=False)
        self._engine.on_error = _report
        self._table = TargetTable(
            self._engine,
            Registry(),
            direction="control",
            settings=_SETTINGS,
            on_unknown_target=_unknown,
            identity=identity,
        )
        self._local = LocalClient(self._table)
        self._known: dict[str, _Known] = {}
        self._running = False

    def start(self) -> None:
        """From now on somebody can be called."""
        run_inside(self._engine, asyncio.get_running_loop())
        self._running = True

    async def stop(self) -> None:
        """Whoever calls has ended its calls. May be repeated."""
        if not self._running:
            return
        self._running = False
        self._table.close()
        leave(self._engine, asyncio.get_running_loop())
        self._engine.close()

    @contextmanager
    def at(self, pod: Pod) -> Iterator[Called]:
        """The proxy of a pod that has a `tap_addr`. ValueError for one that is no address."""
        known = self._use(pod)
        known.used += 1
        try:
            client = GrpcClient(self._local, target=known.target, authority=pod.tap_addr)
            named = pod.identity and self._identity is None
            yield Called(client, ((REQUIRE_ID, pod.identity.encode()),) if named else ())
        finally:
            known.used -= 1
            if not known.used and self._known.get(pod.tap_addr) is known:
                del self._known[pod.tap_addr]
                self._table.remove(known.target)

    def _use(self, pod: Pod) -> _Known:
        spec = self._spec(pod)
        known = self._known.get(pod.tap_addr)
        if known is None:
            target = self._table.install(pod.tap_addr.encode())
            known = self._known[pod.tap_addr] = _Known(target, spec)
            target.configure(http=True)
            target.forward(spec)
        elif (known.spec.address, known.spec.peer) != (spec.address, spec.peer):
            # Another pod has the address of one that ended.
            known.spec = spec
            known.target.forward(spec)
        return known

    def _spec(self, pod: Pod) -> EndpointSpec:
        host, port = split_authority(pod.tap_addr)
        if port is None:
            raise ValueError(f"{pod.tap_addr!r} has no port")
        ipaddress.ip_address(host)
        peer = ServerIdentity(pod.identity) if self._identity and pod.identity else None
        return EndpointSpec(Address(host, port), h2=True, peer=peer)


def _unknown(target: Target) -> None:
    # Nothing but what is installed is called.
    target.reject(502, "not a proxy that is watched")


def _report(error: BaseException, _actor: Actor) -> None:
    report_failure("tap-engine", error)
