"""The rules of `egress` of a mesh.yaml: what its workloads may reach outside of the mesh.

It is an EgressNetwork of all addresses outside, with routes of the hosts that are let go: of HTTP at the
ports of HTTP, of TLS at those of TLS.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import MeshObject
from linkerd2_py.controlplane.mesh.routes import (
    POLICY,
    Backend,
    HTTPRoute,
    HTTPRule,
    Rule,
    TLSRoute,
)
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.sources.local.filter_rules import host_sound
from linkerd2_py.controlplane.sources.local.match_rules import EVERYTHING
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

NETWORK: Final = "egress"
"""What the network is called."""
_WORDS: Final = ("allow", "deny")
_FIELDS: Final = ("allow",)
_SCHEMES: Final = {"http": 80, "https": 443}
_HTTPS: Final = "https"
_MOST_HOSTS: Final = 500


class _Host(NamedTuple):
    """`scheme`: what is spoken there."""

    name: str
    scheme: str
    port: int


class EgressRules:
    """What cannot be used is noted in the reader and left out."""

    def __init__(self, reader: NodeReader, *, namespace: str) -> None:
        self._reader = reader
        self._namespace = namespace

    def objects(self, spot: Spot) -> tuple[MeshObject, ...]:
        """`allow` or `deny`, or the hosts that are let go where nothing else is."""
        if not self._reader.is_mapping(spot):
            word = self._reader.one_of(spot, words=_WORDS)
            return (self._network(allows=word == "allow"),)
        entries = self._reader.some(spot, allowed=_FIELDS)
        hosts = list(self._hosts(entries["allow"])) if "allow" in entries else []
        return (self._network(allows=False), *self._routes(hosts))

    def _network(self, *, allows: bool) -> EgressNetwork:
        return EgressNetwork(self._namespace, NETWORK, allows=allows)

    def _hosts(self, spot: Spot) -> Iterator[_Host]:
        spoken: dict[int, str] = {}
        spots = self._reader.items(spot) or []
        if len(spots) > _MOST_HOSTS:
            self._reader.refuse(spot, reason=f"has more than {_MOST_HOSTS} hosts")
        for each in spots[:_MOST_HOSTS]:
            for host in self._host(each):
                if spoken.setdefault(host.port, host.scheme) != host.scheme:
                    reason = f"port {host.port} cannot be http for one host and https for another"
                    self._reader.refuse(each, reason=reason)
                else:
                    yield host

    def _host(self, spot: Spot) -> Iterator[_Host]:
        """`HOST`, or `SCHEME://HOST` with or without `:PORT`."""
        text = self._reader.text(spot)
        if text is None:
            return
        scheme, separator, rest = text.partition("://")
        name, colon, digits = (rest if separator else text).partition(":")
        known = not separator or scheme in _SCHEMES
        port = _port(digits) if colon else 0
        sound = host_sound(name.removeprefix("*.")) and name == name.lower()
        if not known or not sound or port is None or (colon and not separator):
            reason = (
                "must be a host in small letters, as api.example, *.example,"
                f" http://api.example:8080 or https://api.example, not {text[:60]!r}"
            )
            self._reader.refuse(spot, reason=reason)
            return
        for spoken in (scheme,) if separator else _SCHEMES:
            yield _Host(name, spoken, port or _SCHEMES[spoken])

    def _routes(self, hosts: list[_Host]) -> Iterator[MeshObject]:
        """One for each port."""
        named: dict[tuple[int, str], dict[str, None]] = {}
        for host in hosts:
            named.setdefault((host.port, host.scheme), {})[host.name] = None
        for (port, scheme), names in named.items():
            yield self._route(port, scheme, tuple(names))

    def _route(self, port: int, scheme: str, names: tuple[str, ...]) -> MeshObject:
        namespace, name = self._namespace, f"{NETWORK}-{port}"
        parents = (Parent(POLICY, "EgressNetwork", namespace, NETWORK, port),)
        there = (Backend(POLICY, "EgressNetwork", namespace, NETWORK, port),)
        if scheme == _HTTPS:
            return TLSRoute(
                namespace=namespace,
                name=name,
                parents=parents,
                hostnames=names,
                rules=(Rule(there),),
            )
        return HTTPRoute(
            namespace=namespace,
            name=name,
            parents=parents,
            hostnames=names,
            rules=(HTTPRule(there, EVERYTHING),),
        )


def _port(digits: str) -> int | None:
    sound = digits.isascii() and digits.isdecimal() and len(digits) <= 5
    return int(digits) if sound and 0 < int(digits) < 65536 else None
