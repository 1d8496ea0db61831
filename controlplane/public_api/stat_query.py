"""A stat request and the series it is about: Linkerd's rules of filter labels and grouping.

Plain stats are what the inbound proxies of the things themselves saw. `--to` and `--from`, and everything about
services, are what outbound proxies saw of their destinations, in labels that begin with `dst_`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from linkerd2_py.base.durations import SHORTEST_WINDOW_S, parse_duration
from linkerd2_py.controlplane.metrics.embedded.queries import Selection
from linkerd2_py.controlplane.public_api.resources import (
    InvalidQueryError,
    Kind,
    Resource,
    parse_kind,
)


@dataclass(frozen=True, slots=True)
class StatQuery:
    """Stats of `target`, of its traffic to one thing or from one thing, over `window_s`."""

    target: Resource
    window_s: float
    to: Resource | None = None
    source: Resource | None = None

    @property
    def filtered(self) -> bool:
        """Whether only things with such traffic are of interest."""
        return self.to is not None or self.source is not None


def parse_stat_query(params: Mapping[str, str], *, longest_window_s: float) -> StatQuery:
    """Read the parameters of `/api/v1/stat`; raises `InvalidQueryError`."""
    target = _target(params)
    to = _other(params, side="to", target=target)
    source = _other(params, side="from", target=target)
    if to is not None and source is not None:
        raise InvalidQueryError("--to and --from are mutually exclusive")
    _check_services(target, to=to, source=source)
    window_s = parse_window(params.get("window") or "1m", longest_s=longest_window_s)
    return StatQuery(target, window_s, to, source)


def parse_window(text: str, *, longest_s: float) -> float:
    """One of Go's durations, in seconds; within what is kept."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise InvalidQueryError(f"invalid time window {error}") from error
    if not SHORTEST_WINDOW_S <= seconds <= longest_s:
        bounds = f"from {SHORTEST_WINDOW_S:g}s to {longest_s:g}s"
        raise InvalidQueryError(f"time window {text[:40]} is not kept: it must be {bounds}")
    return seconds


def request_selection(query: StatQuery, *, kind: Kind) -> Selection:
    """The series of requests, by the labels that name the rows (namespace first)."""
    target = Resource(kind, query.target.namespace, query.target.name)
    if query.source is not None:
        matching = {**_own(query.source), **_destination(target)}
        return Selection({**matching, "direction": "outbound"}, _destination_group(kind))
    if query.to is not None:
        matching = {**_own(target), **_destination(query.to)}
        return Selection({**matching, "direction": "outbound"}, _own_group(kind))
    if kind is Kind.SERVICE:
        matching = {**_destination(target), "direction": "outbound"}
        return Selection(matching, _destination_group(kind))
    return Selection({**_own(target), "direction": "inbound"}, _own_group(kind))


def tcp_selection(selection: Selection) -> Selection:
    """The same for connections: those that arrive at a proxy, or those it opens."""
    peer = "dst" if selection.matching["direction"] == "outbound" else "src"
    return Selection({**selection.matching, "peer": peer}, selection.group_by)


def _target(params: Mapping[str, str]) -> Resource:
    if not params.get("type"):
        raise InvalidQueryError("type is missing: one of deploy, po, svc, au, ns, all")
    kind = parse_kind(params["type"])
    everywhere = params.get("all_namespaces", "false") == "true"
    name = params.get("name", "")
    if everywhere and name:
        reason = "stats for a resource cannot be retrieved by name across all namespaces"
        raise InvalidQueryError(reason)
    # A namespace is in no namespace.
    namespace = "" if everywhere or kind is Kind.NAMESPACE else params.get("namespace", "")
    return Resource(kind, namespace, name)


def _other(params: Mapping[str, str], *, side: str, target: Resource) -> Resource | None:
    kind_name = params.get(f"{side}_type", "")
    name = params.get(f"{side}_name", "")
    namespace = params.get(f"{side}_namespace", "")
    if not (kind_name or name or namespace):
        return None
    if name and not kind_name:
        raise InvalidQueryError(f"{side}_name needs {side}_type")
    kind = parse_kind(kind_name) if kind_name else target.kind
    if kind is Kind.ALL:
        raise InvalidQueryError("resource type 'all' is not supported as a filter")
    if kind is Kind.NAMESPACE:
        # A namespace is named by either parameter, and is in none.
        return Resource(kind, "", name or namespace)
    # A named thing is in the target's namespace unless told otherwise.
    return Resource(kind, namespace or (target.namespace if name else ""), name)


def _check_services(target: Resource, *, to: Resource | None, source: Resource | None) -> None:
    if source is not None and source.kind is Kind.AUTHORITY:
        raise InvalidQueryError("cannot query traffic --from an authority")
    of_service = source is not None and source.kind is Kind.SERVICE
    if of_service or (to is not None and target.kind is Kind.SERVICE):
        reason = "service only supported as a target on 'from' queries, or as a destination on 'to' queries"
        raise InvalidQueryError(reason)


def _own(resource: Resource) -> dict[str, str]:
    """The labels of the proxy's own pod, which the scraper adds."""
    matching: dict[str, str] = {}
    if resource.name:
        matching[resource.kind.value] = resource.name
    if resource.namespace:
        matching["namespace"] = resource.namespace
    return matching


def _destination(resource: Resource) -> dict[str, str]:
    """The labels that discovery gave to where the traffic went."""
    matching: dict[str, str] = {}
    if resource.name:
        prefix = "" if resource.kind is Kind.AUTHORITY else "dst_"
        matching[f"{prefix}{resource.kind.value}"] = resource.name
    # An authority says itself in which namespace it is.
    if resource.namespace and not (resource.name and resource.kind is Kind.AUTHORITY):
        matching["dst_namespace"] = resource.namespace
    return matching


def _own_group(kind: Kind) -> tuple[str, ...]:
    return ("namespace",) if kind is Kind.NAMESPACE else ("namespace", kind.value)


def _destination_group(kind: Kind) -> tuple[str, ...]:
    if kind is Kind.NAMESPACE:
        return ("dst_namespace",)
    prefix = "" if kind is Kind.AUTHORITY else "dst_"
    return ("dst_namespace", f"{prefix}{kind.value}")
