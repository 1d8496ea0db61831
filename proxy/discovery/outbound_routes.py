"""What outbound policy says of requests, as values: rules with their conditions, in the order in which they
are looked at.
"""

from __future__ import annotations

from typing import NamedTuple

from linkerd2_py.proxy.discovery.modifiers import UNCHANGED, Modifiers
from linkerd2_py.proxy.discovery.object_ref import ObjectRef
from linkerd2_py.proxy.discovery.tries import ONCE, Tries
from linkerd2_py.proxy.discovery.ways import Refused, Way
from linkerd2_py.proxy.matches import Step


class Destination(NamedTuple):
    """One of the backends of a rule."""

    way: Way
    weight: int
    backend: ObjectRef
    modifiers: Modifiers = UNCHANGED


class Injected(NamedTuple):
    """What `share` of `of` requests are answered instead."""

    refused: Refused
    share: int = 1
    of: int = 1


class Rule(NamedTuple):
    """What becomes of the requests that it means."""

    route: ObjectRef
    destinations: tuple[Destination, ...]
    injected: Injected | None = None
    modifiers: Modifiers = UNCHANGED
    tries: Tries = ONCE


class Routes(NamedTuple):
    """`steps` in the order in which they are tried; a request that none of them means has no route."""

    parent: ObjectRef
    rules: tuple[Rule, ...]
    steps: tuple[Step, ...]
    grpc: bool = False


class HttpRoutes(NamedTuple):
    """Of a target: those of HTTP/1, and those of HTTP/2 where they are others."""

    routes: Routes
    of_http2: Routes | None = None
