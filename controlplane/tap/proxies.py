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
_END_S: Final = 0.1
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


class _Engine:
    """What calls are made with."""

    def __init__(self, identity: LocalIdentity | None) -> None:
        self.loop = Loop(busy_wait=False)
        self.loop.on_error = _report
        self.table = TargetTable(
            self.loop,
            Registry(),
            direction="control",
            settings=_SETTINGS,
            on_unknown_target=_unknown,
            identity=identity,
        )
        self.client = LocalClient(self.table)
        self.known: dict[str, _Known] = {}

    def close(self) -> None:
        self.table.close()
        leave(self.loop, asyncio.get_running_loop())
        # What was told to end does so: resets are written, streams let go of their sessions.
        self.loop.work_off(_END_S)
        self.loop.close()


class Proxies:
    """From `start` to `stop`. With an `identity` TLS is spoken here; without one it is whoever carries our
    traffic, a proxy beside us, that speaks it, and is told who must answer.
    """

    def __init__(self, *, identity: LocalIdentity | None = None) -> None:
        self._identity = identity
        self._engine: _Engine | None = None

    def start(self) -> None:
        """From now on somebody can be called."""
        self._engine = _Engine(self._identity)
        run_inside(self._engine.loop, asyncio.get_running_loop())

    async def stop(self) -> None:
        """Whoever calls has ended its calls. May be repeated."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    @contextmanager
    def at(self, pod: Pod) -> Iterator[Called]:
        """The proxy of a pod that has a `tap_addr`. ValueError for one that is no address, RuntimeError
        before `start` and after `stop`.
        """
        engine = self._engine
        if engine is None:
            raise RuntimeError("nobody can be called: not started, or stopped")
        known = self._use(engine, pod)
        known.used += 1
        try:
            client = GrpcClient(engine.client, target=known.target, authority=pod.tap_addr)
            named = pod.identity and self._identity is None
            yield Called(client, ((REQUIRE_ID, pod.identity.encode()),) if named else ())
        finally:
            known.used -= 1
            if not known.used and engine.known.get(pod.tap_addr) is known:
                del engine.known[pod.tap_addr]
                engine.table.remove(known.target)

    def _use(self, engine: _Engine, pod: Pod) -> _Known:
        spec = self._spec(pod)
        known = engine.known.get(pod.tap_addr)
        if known is None:
            target = engine.table.install(pod.tap_addr.encode())
            known = engine.known[pod.tap_addr] = _Known(target, spec)
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
