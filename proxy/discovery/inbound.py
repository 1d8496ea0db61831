"""The inbound side's targets: the workload's own addresses and nothing else.

Whoever reaches the inbound port could otherwise be sent anywhere by a forged authority, to the proxy's
own admin port on loopback first of all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, Protocol

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import LOOPBACK, EndpointSpec
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py.proxy.addresses import (
    SocketAddr,
    is_local,
    is_loopback,
    pack_ip,
    split_host_port,
    split_zone,
    unpack_ip,
)
from linkerd2_py.proxy.config.types import StaticInbound
from linkerd2_py.proxy.discovery.refusal import (
    TARGETS_MAX,
    TOO_MANY,
    drop_unused,
    refuse,
    refuse_loop,
)
from linkerd2_py.proxy.policy.server import ServerPolicy
from linkerd2_py.proxy.settings import ns

_REFUSED: Final = (404, "not an address of this workload")


class Ports(Protocol):
    """What holds for the workload's ports; hears which of them are in use, once for each target."""

    def of(self, port: int) -> ServerPolicy: ...
    def has_room(self, port: int) -> bool: ...
    def begin(self, port: int) -> None: ...
    def end(self, port: int) -> None: ...


class _Named(NamedTuple):
    """A target with the workload's address that it leads to. `opaque`, `http`: said of its static port."""

    target: Target
    workload: SocketAddr
    opaque: bool
    http: bool


class InboundTargets:
    """Forwards to the original destination when it is one of the workload's addresses: those of
    LINKERD2_PROXY_INBOUND_IPS, else every address of this machine but loopback. What `leads_back` to a
    listener of this proxy is refused.
    """

    def __init__(
        self,
        *,
        own_ips: frozenset[bytes],
        ports: Ports,
        leads_back: Callable[[SocketAddr], bool],
    ) -> None:
        self._own_ips = own_ips
        self._leads_back = leads_back
        self._ports = ports
        self._named: dict[bytes, _Named] = {}
        self._static: set[bytes] = set()
        self._behind: dict[SocketAddr, StaticInbound] = {}
        self._workload_ports: dict[int, int] = {}

    def on_unknown_target(self, target: Target, *, table: TargetTable) -> None:
        """Decide at once: nothing needs to be asked."""
        address = self.accepted(target.key)
        static = None if address is None else self._behind.get(address)
        if address is not None and static is None and self._leads_back(address):
            refuse_loop(target, table=table)
            return
        workload = static.workload if static else address
        if workload is None or self._is_full(table, port=workload.port):
            status, text = _REFUSED if workload is None else TOO_MANY
            refuse(target, status=status, text=text, table=table)
            return
        self._forward(
            target,
            workload=workload,
            opaque=bool(static and static.opaque),
            http=bool(static and static.http),
        )

    def on_idle_target(self, target: Target, *, table: TargetTable) -> None:
        """Nobody used it for a while: forget it, unless it belongs to a static port."""
        if target.key not in self._static:
            named = self._named.pop(target.key, None)
            table.remove(target)
            if named is not None:
                self._ports.end(named.workload.port)

    def on_policy(self, port: int) -> None:
        """What holds for a port of the workload is something else now."""
        for named in self._named.values():
            if named.workload.port == port:
                self._configure(named)

    def _is_full(self, table: TargetTable, *, port: int) -> bool:
        if self._is_beyond(port):
            drop = partial(self.on_idle_target, table=table)
            drop_unused(table, known=self._named, drop=drop)
        return self._is_beyond(port)

    def _is_beyond(self, port: int) -> bool:
        """Whether one more target would be one too many."""
        many = len(self._named) - len(self._static) >= TARGETS_MAX
        return many or not self._ports.has_room(port)

    def adopt(
        self, target: Target, *, workload: SocketAddr, opaque: bool, http: bool = False
    ) -> None:
        """The workload behind a static port."""
        self._static.add(target.key)
        self._forward(target, workload=workload, opaque=opaque, http=http)

    def _forward(
        self, target: Target, *, workload: SocketAddr, opaque: bool, http: bool = False
    ) -> None:
        named = self._named[target.key] = _Named(target, workload, opaque, http)
        self._ports.begin(workload.port)
        self._configure(named)
        other = self.in_other_family(workload)
        # Beside us, on no wire.
        target.forward(
            EndpointSpec(
                Address(workload.host, workload.port),
                tls=LOOPBACK,
                other=Address(other.host, other.port) if other else None,
            )
        )

    def _configure(self, named: _Named) -> None:
        policy = self._ports.of(named.workload.port)
        named.target.configure(
            opaque=named.opaque or policy.is_opaque,
            http=named.http or policy.only_http,
            detect_timeout_ns=ns(policy.detect_timeout_s),
            owner=(
                *policy.reference.labels("srv"),
                ("srv_port", str(named.workload.port)),
            ),
        )

    def in_other_family(self, workload: SocketAddr) -> SocketAddr | None:
        """The same port of the pod's address of the other IP version: who connects chose the version by a
        name, without knowing which of them the program listens on. None where the pod has no such
        address, or several.
        """
        own = pack_ip(workload.host)
        others = [packed for packed in self._own_ips if own and len(packed) != len(own)]
        if len(others) != 1:
            return None
        address = SocketAddr(unpack_ip(others[0]), workload.port)
        return None if self._leads_back(address) else address

    def listens(self, port: StaticInbound, *, at: SocketAddr) -> None:
        """A peer proxy that tunnels to the static port at `at` means the workload behind it."""
        self._behind[at] = port
        self._workload_ports[at.port] = port.workload.port

    def port_of(self, port: int) -> int:
        """The workload's own number of a port that is static here."""
        return self._workload_ports.get(port, port)

    def accepted(self, key: bytes) -> SocketAddr | None:
        """The address in `key` when it is the workload's, else None."""
        try:
            host, port = split_host_port(key.decode("ascii"))
        except ValueError:
            return None
        if split_zone(host)[1] and port:
            # Addresses of a link are in nobody's list.
            return SocketAddr(host, port) if is_local(host) else None
        packed = pack_ip(host)
        if packed is None or port == 0 or not any(packed):
            return None
        plain = unpack_ip(packed)
        own = packed in self._own_ips if self._own_ips else _is_own(plain)
        return SocketAddr(plain, port) if own else None


def _is_own(host: str) -> bool:
    return is_local(host) and not is_loopback(host)
