"""The node of a transparent mesh: the router between pods, services and host, in a namespace of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final

from linkerd2_py.base.backoff import Backoff, BackoffRange, unit_random
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.edits import follow_file, stamp
from linkerd2_py.controlplane.local.names.server import DnsServer, name_servers
from linkerd2_py.controlplane.local.names.zone import Zone
from linkerd2_py.controlplane.local.place import netns
from linkerd2_py.controlplane.local.place.transparent import commands, programs, subnet
from linkerd2_py.controlplane.local.place.transparent.host_rules import host_rules
from linkerd2_py.controlplane.local.place.transparent.programs import NetworkError
from linkerd2_py.controlplane.local.place.transparent.service_rules import (
    service_rules,
    service_rules_base,
)
from linkerd2_py.controlplane.local.place.transparent.subnet import Claim, Subnet
from linkerd2_py.controlplane.local.place.transparent.sweep import FORWARDING, sweep, sweep_dead
from linkerd2_py.controlplane.mesh.changes import Subscription
from linkerd2_py.controlplane.mesh.store import MeshStore

logger = logging.getLogger(__name__)

RESOLV_CONF: Final = Path("/etc/resolv.conf")
_NEEDED: Final = {"ip": "iproute2", "iptables-restore": "iptables", "ip6tables-restore": "iptables"}
_IPV6: Final = Path("/proc/sys/net/ipv6")
_DNS_PORT: Final = 53
_SETTLE_S: Final = 0.05
"""Changes come in groups: a pod that starts is several."""
_TRY_AGAIN: Final = BackoffRange(min_s=0.5, max_s=30.0, jitter=0.2)
"""Between two tries to load rules that were refused: others, too, hold the lock of iptables for a while."""


class Node:
    """From `open` to `close`; the caller adds pods' namespaces in between."""

    def __init__(self, network: Subnet, claim: Claim) -> None:
        self.subnet = network
        self._claim = claim
        self._changed = asyncio.Event()
        self._subscription: Subscription | None = None
        self._following: list[asyncio.Task[None]] = []
        self._dns: DnsServer | None = None

    @classmethod
    async def open(cls) -> Node:
        """Remove what dead meshes left, choose a free subnet and make the node. NetworkError, StateError
        or OSError if refused.
        """
        _look_for_what_is_needed()
        for label in await sweep_dead():
            logger.info("removed what the mesh %s had left", label)
        chosen = subnet.choose(taken=await _taken_networks())
        if chosen is None:
            raise NetworkError("no free private IPv4 network is left for pods and services")
        node = cls(*chosen)
        try:
            await node._make()
        except BaseException:
            await node.close()
            raise
        return node

    @property
    def host(self) -> str:
        """The address at which all pods reach it."""
        return str(self.subnet.gateway)

    def entered(self) -> AbstractContextManager[None]:
        """Sockets made in the block are the node's."""
        return netns.entered(self.subnet.node)

    async def start(self, store: MeshStore) -> None:
        """Answer for names and virtual addresses as the store has them, from now on."""
        with self.entered():
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            udp.bind((self.host, _DNS_PORT))
            tcp.bind((self.host, _DNS_PORT))
        before = stamp(RESOLV_CONF)
        servers = name_servers(RESOLV_CONF)
        self._dns = DnsServer(Zone(lambda: store.mesh), forward_to=servers)
        await self._dns.start(udp, tcp)
        for ipv6 in (False, True):
            await self._restore(service_rules_base(), ipv6=ipv6)
        self._subscription = store.subscribe(lambda _changes: self._changed.set())
        self._changed.set()
        follow = partial(follow_file, RESOLV_CONF, since=before, on_edit=self._on_resolv_conf)
        self._following = [
            supervise(partial(self._follow, store), name="service-rules"),
            supervise(follow, name="resolv-conf"),
        ]

    async def close(self) -> None:
        """Remove the node and every pod's namespace. May be repeated."""
        if self._subscription is not None:
            self._subscription.close()
        await cancel_all(self._following)
        if self._dns is not None:
            await self._dns.stop()
        self._subscription = self._dns = None
        await sweep(self.subnet.label)
        self._claim.close()

    async def _make(self) -> None:
        forwarded = FORWARDING.read_text().strip() != "0"
        # Before the switch is turned: a leftover must know how the host was.
        await programs.restore(host_rules(self.subnet, forwarded=forwarded))
        if not forwarded:
            FORWARDING.write_text("1")
        await programs.apply(commands.make_node(self.subnet))

    async def _follow(self, store: MeshStore) -> None:
        backoff = Backoff(_TRY_AGAIN, source=unit_random, clock=SystemClock())
        while True:
            await self._changed.wait()
            await asyncio.sleep(_SETTLE_S)
            backoff.begin()
            try:
                await self._load(store)
            except NetworkError as error:
                logger.warning("service rules: %s", error)
                await asyncio.sleep(backoff.next_delay_s())
            else:
                backoff.reset()

    async def _on_resolv_conf(self) -> None:
        """The machine has other name servers now, or is just being told so."""
        if self._dns is not None and RESOLV_CONF.is_file():
            self._dns.forward_to(name_servers(RESOLV_CONF))

    async def _load(self, store: MeshStore) -> None:
        """The rules for the mesh as it is; while that fails there is still something to do."""
        self._changed.clear()
        try:
            await self._restore(service_rules(store.mesh, family=4), ipv6=False)
            await self._restore(service_rules(store.mesh, family=6), ipv6=True)
        except BaseException:
            self._changed.set()
            raise

    async def _restore(self, text: str, *, ipv6: bool) -> None:
        await programs.restore(text, netns=self.subnet.node, ipv6=ipv6)


def _look_for_what_is_needed() -> None:
    if not _IPV6.exists():
        raise NetworkError("this kernel has IPv6 switched off, which pods need among themselves")
    for program, package in _NEEDED.items():
        if shutil.which(program) is None:
            raise NetworkError(f"{program} is not installed: install the package {package}")


async def _taken_networks() -> Sequence[subnet.Network]:
    """Addresses, routes and name servers of this machine."""
    texts: list[str] = name_servers(RESOLV_CONF)
    for family in ("-4", "-6"):
        links: list[dict[str, Any]] = json.loads(
            await programs.run("ip", "-json", family, "addr") or "[]"
        )
        for link in links:
            addresses = link.get("addr_info", ())
            texts += [f"{one['local']}/{one['prefixlen']}" for one in addresses if "local" in one]
        # A table that does not exist is no table with routes.
        shown = await programs.run("ip", "-json", family, "route", "show", "table", "all")
        routes: list[dict[str, Any]] = json.loads(shown or "[]")
        texts += [str(route.get("dst", "")) for route in routes]
    return subnet.networks(texts)
