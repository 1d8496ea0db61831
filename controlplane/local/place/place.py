"""Where pods live and how programs find each other: what the two ways of running a local mesh differ in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.local.place.plan import DoorFinder, PodPlan
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec, WorkloadSpec


class AddressError(Exception):
    """No address or port is left; the text is one line for a person."""


class Place(Protocol):
    """From the start of a mesh to its end."""

    @property
    def label(self) -> str:
        """What the names of its namespaces begin with; empty where there are none."""

    @property
    def has_doors(self) -> bool:
        """Whether programs without a proxy are told of a local port for each service, as nothing is found
        by its name.
        """

    @property
    def proxy_uid(self) -> int | None:
        """The user that proxies run as; None: the one who started the mesh."""

    @property
    def proxy_api(self) -> Listen:
        """Where every pod reaches the control plane."""

    @property
    def networks(self) -> tuple[str, ...]:
        """Where all pods are, and the node."""

    def addressed(self, services: Iterable[ServiceSpec]) -> list[ServiceSpec]:
        """The services with what addresses they have here."""

    async def join(self, spec: WorkloadSpec, *, name: str, door: DoorFinder) -> PodPlan:
        """A place for one replica. AddressError if there is none."""

    async def leave(self, plan: PodPlan) -> None:
        """Its place is free again; its programs have ended."""

    async def close(self) -> None:
        """Leave nothing behind. May be repeated."""
