"""The answers to what proxies ask: kept between two changes, so that the next one tells what is different."""

from typing import Final

from linkerd2_py.controlplane.destination import translator
from linkerd2_py.controlplane.destination.endpoints import resolve
from linkerd2_py.controlplane.destination.profiles import profile
from linkerd2_py.controlplane.destination.targets import ServiceTarget, Target
from linkerd2_py.controlplane.mesh.objects import Endpoints, Pod, Service
from linkerd2_py.controlplane.mesh.store import Kind, Mesh
from linkerd2_py.controlplane.streams.topics import Topic

ANSWERED_FROM: Final[tuple[Kind, ...]] = (Service, Endpoints, Pod)
"""The kinds that answers are made from."""


class EndpointsAnswer:
    """The endpoints of a service port, for `Get`."""

    def __init__(self, target: ServiceTarget, *, mesh: Mesh) -> None:
        self._target = target
        self._endpoints = resolve(target, mesh=mesh)

    @property
    def depends_on(self) -> frozenset[Topic]:
        return self._endpoints.depends_on

    def snapshot(self) -> tuple[bytes, ...]:
        return translator.snapshot(self._endpoints, service=self._target.service)

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        before, self._endpoints = self._endpoints, resolve(self._target, mesh=mesh)
        return translator.difference(before, after=self._endpoints, service=self._target.service)


class ProfileAnswer:
    """The profile of a target, for `GetProfile`."""

    def __init__(self, target: Target, *, mesh: Mesh) -> None:
        self._target = target
        self._profile = profile(target, mesh=mesh)

    @property
    def depends_on(self) -> frozenset[Topic]:
        return self._profile.depends_on

    def snapshot(self) -> tuple[bytes, ...]:
        return (self._profile.encoded,)

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        before, self._profile = self._profile, profile(self._target, mesh=mesh)
        return () if before.encoded == self._profile.encoded else (self._profile.encoded,)
