"""Which step of a rotation comes next.

A proxy trusts for all its life the anchors that it was started with, and presents a certificate that lives
for hours. So that every two proxies that run trust one another at every moment: nobody presents what the new
anchor vouches for before everybody trusts it, and nobody forgets the old one before nobody presents what it
vouches for. What a step waits for must not come undone afterwards: that is why the control plane is
replaced first. An injector that began with the new anchor gives it to every later pod, and an identity
service that began with the new issuer signs with no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

Anchors = frozenset[str]
"""Certificates, each by its SHA-256 in hex."""
IDENTITY: Final = "identity"


class Step(Enum):
    """In their order; the value is what a person is told will be done."""

    BEGIN = "make the new anchor and the issuer below it"
    ADD = "add the new anchor to the bundle that proxies are started with"
    RESTART_CONTROL_PLANE = "restart the control plane, so that whatever it injects trusts both"
    RESTART_WORKLOADS = "restart the workloads whose proxies trust only the old anchor"
    REPLACE_ISSUER = "replace the issuer by the one below the new anchor"
    RESTART_IDENTITY = "restart the identity service, so that nothing is signed by the old issuer"
    RENEW = "wait until every proxy presents a certificate of the new issuer"
    REMOVE = "take the old anchor out of the bundle"
    FORGET_IN_CONTROL_PLANE = "restart the control plane, so that it trusts the new anchor only"
    FORGET_IN_WORKLOADS = "restart the workloads that still trust the old anchor"
    FINISH = "forget the rotation"


IRREVOCABLE: Final = frozenset({Step.REPLACE_ISSUER, Step.REMOVE})
"""What these rest on must have been seen twice, with the time between in which what was under way at first
(a pod that an injector of before had just been asked for, a certificate that was just being signed) is seen.
"""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One pod with a proxy of this mesh.

    `anchors` is what it was started with, None where that cannot be known. `component` is its part of the
    control plane. `issuer` is the public key, by its SHA-256, that signed what it presents: "" when it
    presents nothing, for it does not run; None where that is not known. `signs_with` is, of an identity
    service, the issuer that was there when it was started.
    """

    namespace: str
    name: str
    workload: str
    anchors: Anchors | None
    component: str = ""
    issuer: str | None = None
    signs_with: str = ""

    @property
    def called(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Rotation:
    """One that has begun: from the anchors `retired` to `fresh`, and to an issuer of this key."""

    fresh: str
    retired: Anchors
    issuer: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A mesh at one moment: what its bundle holds, the key of its issuer, and all its proxies."""

    bundle: Anchors
    issuer: str
    proxies: tuple[Proxy, ...]
    rotation: Rotation | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """A step, and the proxies because of which it is not over."""

    step: Step
    waits_for: tuple[Proxy, ...] = ()


def next_step(seen: Seen) -> Next:
    """What is to be done now."""
    rotation = seen.rotation
    if rotation is None:
        return Next(Step.BEGIN)
    if rotation.fresh not in seen.bundle:
        return Next(Step.ADD)
    if seen.issuer != rotation.issuer:
        return _until_issuer(seen, rotation)
    if seen.bundle & rotation.retired:
        return _until_removed(seen, rotation)
    return _until_forgotten(seen, rotation)


def _until_issuer(seen: Seen, rotation: Rotation) -> Next:
    lacking = _which(seen, lambda proxy: not _trusts(proxy, rotation.fresh))
    if ours := _of_control_plane(lacking):
        return Next(Step.RESTART_CONTROL_PLANE, ours)
    if lacking:
        return Next(Step.RESTART_WORKLOADS, lacking)
    return Next(Step.REPLACE_ISSUER)


def _until_removed(seen: Seen, rotation: Rotation) -> Next:
    behind = _which(
        seen, lambda one: one.component == IDENTITY and one.signs_with != rotation.issuer
    )
    if behind:
        return Next(Step.RESTART_IDENTITY, behind)
    # Pods with a bundle of their own, from a manifest of before, may come at any time.
    if lacking := _which(seen, lambda proxy: not _trusts(proxy, rotation.fresh)):
        return Next(Step.RESTART_WORKLOADS, lacking)
    if old := _which(seen, lambda proxy: proxy.issuer not in ("", rotation.issuer)):
        return Next(Step.RENEW, old)
    return Next(Step.REMOVE)


def _until_forgotten(seen: Seen, rotation: Rotation) -> Next:
    still = _which(seen, lambda one: one.anchors is None or bool(one.anchors & rotation.retired))
    if ours := _of_control_plane(still):
        return Next(Step.FORGET_IN_CONTROL_PLANE, ours)
    if still:
        return Next(Step.FORGET_IN_WORKLOADS, still)
    return Next(Step.FINISH)


def _which(seen: Seen, is_meant: Callable[[Proxy], bool]) -> tuple[Proxy, ...]:
    return tuple(proxy for proxy in seen.proxies if is_meant(proxy))


def _trusts(proxy: Proxy, anchor: str) -> bool:
    return proxy.anchors is not None and anchor in proxy.anchors


def _of_control_plane(proxies: Sequence[Proxy]) -> tuple[Proxy, ...]:
    return tuple(proxy for proxy in proxies if proxy.component)
