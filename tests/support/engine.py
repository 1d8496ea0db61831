"""Proxies made of the engine alone, in this process: no environment, no discovery; the test installs targets
itself.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.server import ProxyServer
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py._ext.tls.identity import LocalIdentity, ServerIdentity

MS = 1_000_000
# `./mesh test` runs the integration tests both ways of making a batch of socket calls.
IO_URING = os.environ.get("L5D_IO_URING") != "0"


@dataclass(slots=True)
class Engine:
    """One inner loop on the running outer loop, and what was made on it."""

    loop: Loop
    registry: Registry
    settings: PoolSettings
    tables: list[TargetTable] = field(default_factory=list)
    servers: list[ProxyServer] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def table(
        self,
        direction: str = "outbound",
        *,
        on_unknown: Callable[[Target], None] = lambda _target: None,
        settings: PoolSettings | None = None,
        identity: LocalIdentity | None = None,
    ) -> TargetTable:
        table = TargetTable(
            self.loop,
            self.registry,
            direction=direction,
            settings=settings or self.settings,
            on_unknown_target=on_unknown,
            identity=identity,
        )
        self.tables.append(table)
        return table

    def server(self, table: TargetTable, **options: object) -> tuple[ProxyServer, tuple[str, int]]:
        """A proxy server on a free port, and where it listens."""
        options = {"limits": self.settings.limits, **options}
        server = ProxyServer(self.loop, table, direction=table.direction, **options)  # type: ignore[arg-type]
        self.servers.append(server)
        address = server.listen("127.0.0.1", 0)
        return server, (address.host, address.port)

    def outbound(
        self,
        *endpoints: tuple[str, int],
        h2: bool = False,
        opaque: bool = False,
        key: bytes = b"svc.test:80",
        identity: LocalIdentity | None = None,
        peer: ServerIdentity | None = None,
        hinted_opaque: bool = False,
        **options: object,
    ) -> tuple[Target, tuple[str, int]]:
        """A static outbound port whose target has these endpoints. `identity` calls them, `peer`
        must answer; `hinted_opaque`: only they, not the target, are.
        """
        table = self.table("outbound", identity=identity)
        target = table.install(key)
        target.configure(opaque=opaque)
        if endpoints:
            target.replace(
                [
                    EndpointSpec(Address(*endpoint), h2=h2, peer=peer, opaque=hinted_opaque)
                    for endpoint in endpoints
                ]
            )
        return target, self.server(table, target=target, **options)[1]

    def inbound(
        self,
        workload: tuple[str, int],
        *,
        opaque: bool = False,
        http: bool = False,
        authority_labels: bool = False,
        **options: object,
    ) -> tuple[str, int]:
        """A static inbound port in front of a workload. `http`: it is known to speak nothing else."""
        table = self.table("inbound")
        target = table.install(b"workload:80")
        target.configure(http=http)
        target.forward(EndpointSpec(Address(*workload)))
        return self.server(
            table,
            target=target,
            orig_proto=True,
            opaque=opaque,
            authority_labels=authority_labels,
            **options,
        )[1]

    def direct(
        self, workload: tuple[str, int], *, port: int = 8080, **options: object
    ) -> tuple[str, int]:
        """An inbound port that asks where to: `port` of this machine is the workload, everything else
        nowhere.
        """

        def on_unknown(target: Target) -> None:
            target.configure()
            if target.key == b"127.0.0.1:%d" % port:
                target.forward(EndpointSpec(Address(*workload)))
            else:
                target.reject(404, "not an address of this workload")

        table = self.table("inbound", on_unknown=on_unknown)
        return self.server(table, orig_proto=True, **options)[1]

    def metrics(self) -> str:
        return b"".join(self.registry.render()).decode()

    def close(self) -> None:
        for server in self.servers:
            server.drain()
            server.abort_all()
        for table in self.tables:
            table.close()
        self.loop.run_until(lambda: True, 0)


@asynccontextmanager
async def engine(**settings: object) -> AsyncIterator[Engine]:
    """An engine that closes everything at the end and fails the test if a callback raised."""
    loop = Loop(io_uring=IO_URING)
    errors: list[BaseException] = []
    loop.on_error = lambda error, actor: errors.append(error)
    outer = asyncio.get_running_loop()
    outer.add_reader(loop.fileno(), loop.drain)
    options = {"connect_timeout_ns": 500 * MS, "failfast_ns": 300 * MS, **settings}
    made = Engine(loop, Registry(), PoolSettings(**options), errors=errors)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()
        outer.remove_reader(loop.fileno())
        loop.close()
    assert not errors, errors
