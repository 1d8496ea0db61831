"""What a call of Observe wants to see, as the engine's matcher takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from linkerd2_py.proto.gen.http_types_pb2 import HttpMethod, Scheme
from linkerd2_py.proto.gen.net_pb2 import IPAddress
from linkerd2_py.proto.gen.tap_pb2 import ObserveRequest

Match = ObserveRequest.Match
Tree = tuple[object, ...]
"""Conditions as the engine's `Matcher` takes them."""

_PORT_MAX: Final = 65535


class MatchError(ValueError):
    """It cannot be matched; the text says why."""


def tree_of(match: Match) -> Tree:
    """The conditions in `match`. MatchError for what means nothing."""
    kind = match.WhichOneof("match")
    if kind is None:
        raise MatchError("a match is empty: say what to look for, or all of nothing for everything")
    return _KINDS[kind](getattr(match, kind))


def _sequence(kind: str) -> Callable[[Match.Seq], Tree]:
    def read(sequence: Match.Seq) -> Tree:
        given: Iterable[Match] = (
            one for one in sequence.matches if one.WhichOneof("match") is not None
        )
        return (kind, *map(tree_of, given))

    return read


def _not(match: Match) -> Tree:
    return ("not", tree_of(match))


def _tcp(side: str) -> Callable[[Match.Tcp], Tree]:
    def read(tcp: Match.Tcp) -> Tree:
        kind = tcp.WhichOneof("match")
        if kind == "ports":
            return (f"{side}-ports", *_range(tcp.ports))
        if kind == "netmask":
            return (f"{side}-network", *_network(tcp.netmask))
        raise MatchError(f"a match of the {side} names neither a network nor ports")

    return read


def _range(ports: Match.Tcp.PortRange) -> tuple[int, int]:
    low, high = ports.min or ports.max, ports.max or ports.min
    if not 0 < low <= high <= _PORT_MAX:
        raise MatchError(f"{ports.min}-{ports.max} is no range of ports")
    return low, high


def _network(netmask: Match.Tcp.Netmask) -> tuple[bytes, int]:
    address = _bytes_of(netmask.ip)
    if not 0 < netmask.mask <= 8 * len(address):
        raise MatchError(f"a network of this IP version has no prefix of {netmask.mask} bits")
    return address, netmask.mask


def _bytes_of(ip: IPAddress) -> bytes:
    kind = ip.WhichOneof("ip")
    if kind == "ipv4":
        return ip.ipv4.to_bytes(4, "big")
    if kind == "ipv6":
        return ip.ipv6.first.to_bytes(8, "big") + ip.ipv6.last.to_bytes(8, "big")
    raise MatchError("a network has no address")


def _label(kind: str) -> Callable[[Match.Label], Tree]:
    def read(label: Match.Label) -> Tree:
        if not label.key or not label.value:
            raise MatchError("a label needs a key and a value")
        return (kind, label.key, label.value)

    return read


def _http(http: Match.Http) -> Tree:
    kind = http.WhichOneof("match")
    if kind == "scheme":
        return ("scheme", _registered(http.scheme, Scheme.Registered, what="scheme").lower())
    if kind == "method":
        return ("method", _registered(http.method, HttpMethod.Registered, what="method"))
    if kind == "authority":
        return _string(kind, http.authority)
    if kind == "path":
        return _string(kind, http.path)
    raise MatchError("a match of HTTP names no scheme, method, authority or path")


def _registered(given: HttpMethod | Scheme, names: Any, *, what: str) -> bytes:
    """Its name; `names` are those with a number."""
    kind = given.WhichOneof("type")
    if kind == "registered" and given.registered in names.values():
        text: str = names.Name(given.registered)
    else:
        text = given.unregistered
    if not text:
        raise MatchError(f"a match of the {what} names none")
    return text.encode()


def _string(kind: str, match: Match.Http.StringMatch) -> Tree:
    how = match.WhichOneof("match")
    if how == "exact":
        return (kind, match.exact.encode())
    if how == "prefix":
        return (f"{kind}-prefix", match.prefix.encode())
    raise MatchError(f"a match of the {kind} has no text")


_KINDS: Final[dict[str, Callable[[Any], Tree]]] = {
    "all": _sequence("all"),
    "any": _sequence("any"),
    "not": _not,
    "source": _tcp("source"),
    "destination": _tcp("destination"),
    "destination_label": _label("destination-label"),
    "route_label": _label("route-label"),
    "http": _http,
}
