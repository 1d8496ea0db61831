"""The answers to what proxies ask: kept between two changes, so that the next one tells what is different."""

from typing import Final

from linkerd2_py.controlplane.destination import translator
from linkerd2_py.controlplane.destination.endpoints import resolve
from linkerd2_py.controlplane.destination.profiles import profile
from linkerd2_py.controlplane.destination.questions import EndpointsQuestion, ProfileQuestion
from linkerd2_py.controlplane.destination.refusals import RefusedError
from linkerd2_py.controlplane.destination.settings import Settings
from linkerd2_py.controlplane.mesh.objects import Endpoints, ExternalWorkload, Pod, Service
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile
from linkerd2_py.controlplane.mesh.store import Kind, Mesh
from linkerd2_py.controlplane.streams.topics import Topic

ANSWERED_FROM: Final[tuple[Kind, ...]] = (
    Service,
    Endpoints,
    Pod,
    Server,
    ServiceProfile,
    ExternalWorkload,
)
"""The kinds that answers are made from. Where nodes stand is good to know, and is taken up when it is."""


class EndpointsAnswer:
    """The endpoints of a service port, for `Get`. A service that goes leaves an empty set to those who
    watched it, and refuses those who ask for it then.
    """

    def __init__(self, question: EndpointsQuestion, *, mesh: Mesh, settings: Settings) -> None:
        self._question = question
        self._settings = settings
        self._found = resolve(question, mesh=mesh, settings=settings)

    @property
    def depends_on(self) -> frozenset[Topic]:
        return self._found.depends_on

    def snapshot(self) -> tuple[bytes, ...]:
        if self._found.refusal is not None:
            raise RefusedError(*self._found.refusal)
        return translator.snapshot(self._found, keep_alive=self._settings.meshed_http2)

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        before = self._found
        self._found = resolve(self._question, mesh=mesh, settings=self._settings)
        keep_alive = self._settings.meshed_http2
        return translator.difference(before, after=self._found, keep_alive=keep_alive)


class ProfileAnswer:
    """The profile of a target, for `GetProfile`. While nothing can be said, what was said last holds."""

    def __init__(self, question: ProfileQuestion, *, mesh: Mesh, settings: Settings) -> None:
        self._question = question
        self._settings = settings
        self._profile = profile(question, mesh=mesh, settings=settings)
        self._said = self._profile.encoded

    @property
    def depends_on(self) -> frozenset[Topic]:
        return self._profile.depends_on

    def snapshot(self) -> tuple[bytes, ...]:
        if self._profile.refusal is not None:
            raise RefusedError(*self._profile.refusal)
        return () if self._profile.encoded is None else (self._profile.encoded,)

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        self._profile = profile(self._question, mesh=mesh, settings=self._settings)
        encoded = self._profile.encoded
        if encoded is None or encoded == self._said:
            return ()
        self._said = encoded
        return (encoded,)
