"""Every replica gets a namespace and addresses; every service gets virtual ones."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.local.names.server import resolv_conf
from linkerd2_py.controlplane.local.place import netns
from linkerd2_py.controlplane.local.place.place import AddressError
from linkerd2_py.controlplane.local.place.plan import DoorFinder, PodPlan
from linkerd2_py.controlplane.local.place.transparent import commands, programs
from linkerd2_py.controlplane.local.place.transparent.node import Node
from linkerd2_py.controlplane.local.place.transparent.plan import PROXY_UID, plan_in_namespace
from linkerd2_py.controlplane.local.place.transparent.sweep import remove_namespace
from linkerd2_py.controlplane.local.state import owned
from linkerd2_py.controlplane.local.state.state_dir import StateDir
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec, WorkloadSpec

NSSWITCH: Final = Path("/etc/nsswitch.conf")
_FOR_ALL: Final = 0o755


class NamespacePlace:
    """The `Place` of a transparent mesh, on a node that is open."""

    has_doors: bool = False
    proxy_uid: int | None = PROXY_UID

    def __init__(self, node: Node, *, state_dir: StateDir) -> None:
        self._node = node
        self._state_dir = state_dir
        self._numbers = itertools.count()
        self._fresh_pods = iter(node.subnet.pod_addresses())
        self._used_pods: deque[tuple[str, str]] = deque()
        self._fresh_services = iter(node.subnet.service_addresses())
        self._services: dict[Key, tuple[str, str]] = {}

    @property
    def label(self) -> str:
        return self._node.subnet.label

    @property
    def proxy_api(self) -> Listen:
        return Listen(self._node.host, inside=self._node.entered, secured=True)

    @property
    def networks(self) -> tuple[str, ...]:
        return (str(self._node.subnet.v4), str(self._node.subnet.v6))

    def addressed(self, services: Iterable[ServiceSpec]) -> list[ServiceSpec]:
        """Each with its virtual addresses, which it keeps for as long as the mesh runs."""
        return [
            one if one.headless else replace(one, ips=self._ips_of(one.key)) for one in services
        ]

    async def join(self, spec: WorkloadSpec, *, name: str, door: DoorFinder) -> PodPlan:
        """Make a namespace for a replica. AddressError if that is refused."""
        ip, ip6 = self._take_pod()
        namespace = self._node.subnet.namespace_of(name)
        port = f"p{next(self._numbers)}"
        batches = commands.make_pod(self._node.subnet, netns=namespace, port=port, ip=ip, ip6=ip6)
        plan = plan_in_namespace(
            spec,
            name=name,
            ips=(ip, ip6),
            netns=namespace,
            subnet=self._node.subnet,
            etc=self._etc(spec.namespace),
        )
        try:
            await programs.apply(batches)
        except BaseException:
            if namespace in netns.names():
                await remove_namespace(namespace)
            self._used_pods.append((ip, ip6))
            raise
        return plan

    async def leave(self, plan: PodPlan) -> None:
        """Remove its namespace, with whatever still runs there."""
        await remove_namespace(plan.netns)
        self._used_pods.append((plan.ip, plan.ip6))

    async def close(self) -> None:
        """Remove everything. May be repeated."""
        await self._node.close()
        owned.remove(self._state_dir.etc)

    def _take_pod(self) -> tuple[str, str]:
        # One given back is used as late as possible: somebody may still believe in its last owner.
        fresh = next(self._fresh_pods, None)
        if fresh is None and not self._used_pods:
            raise AddressError("every address of this mesh is used by a pod")
        return fresh or self._used_pods.popleft()

    def _ips_of(self, service: Key) -> tuple[str, str]:
        if service not in self._services:
            fresh = next(self._fresh_services, None)
            if fresh is None:
                raise AddressError("every address of this mesh is used by a service")
            self._services[service] = fresh
        return self._services[service]

    def _etc(self, namespace: str) -> Path:
        """The folder whose files stand in for those of /etc in the pods of a namespace. AddressError if
        it cannot be ours.
        """
        try:
            owned.make(self._state_dir.etc, mode=_FOR_ALL)
        except owned.StateError as error:
            raise AddressError(str(error)) from error
        folder = self._state_dir.etc / namespace
        folder.mkdir(exist_ok=True)
        text = resolv_conf(self._node.host, namespace=namespace)
        (folder / "resolv.conf").write_text(text)
        if NSSWITCH.exists():
            (folder / "nsswitch.conf").write_text(without_resolved(NSSWITCH.read_text()))
        return folder


def without_resolved(nsswitch: str) -> str:
    """nsswitch.conf with names asked of files and DNS only: a daemon of the host knows nothing of
    this mesh.
    """
    lines = nsswitch.splitlines()
    return "".join(f"{'hosts: files dns' if _is_hosts(line) else line}\n" for line in lines)


def _is_hosts(line: str) -> bool:
    return line.strip().startswith("hosts:")
