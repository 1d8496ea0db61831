"""A stat request and the series it is about: Linkerd's rules of filter labels and grouping.

Plain stats are what the inbound proxies of the things themselves saw. `--to` and `--from`, and everything
about services, are what outbound proxies saw of their destinations, in labels that begin with `dst_`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, NamedTuple

from linkerd2_py.base.durations import SHORTEST_WINDOW_S, parse_duration
from linkerd2_py.base.selectors import Requirement, parse_selector
from linkerd2_py.controlplane.metrics.store import Selection
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import (
    KIND_NAMES,
    POLICIES,
    Kind,
    Resource,
    parse_kind,
)
from linkerd2_py.controlplane.public_api.operation import Parameter


class Length(NamedTuple):
    """How long a window is, and how that was written."""

    seconds: float
    text: str


def parse_length(text: str) -> Length:
    """One of Go's durations; raises `InvalidQueryError`."""
    try:
        return Length(parse_duration(text), text)
    except ValueError as error:
        raise InvalidQueryError(f"invalid time window {error}") from error


def kind_parameter(description: str, *, names: Sequence[str] = KIND_NAMES) -> Parameter:
    """One of these types."""
    return Parameter(description, parse_kind, names)


def _other_kind(description: str) -> Parameter:
    return kind_parameter(description, names=[name for name in KIND_NAMES if name != Kind.ALL])


# Neither what the administration of a proxy is asked (metrics, probes), which linkerd2-proxy counts as
# inbound, nor what a kubelet asks to know whether a pod is well, is traffic of the workload.
_ADMINISTRATION: Final = {"target_port": "4191", "route_name": "probe"}
MINUTE: Final = Length(60.0, "1m")
WINDOW: Final = Parameter("how far back, e.g. 30s or 1m (the default)", parse_length)


def everything(_labels: Mapping[str, str]) -> bool:
    """The selector that nobody gave."""
    return True


def read_selector(text: str) -> Requirement:
    """A label selector as kubectl has it; raises `InvalidQueryError`."""
    try:
        return parse_selector(text)
    except ValueError as error:
        raise InvalidQueryError(str(error)) from error


SELECTOR: Final = Parameter("only what has these labels, e.g. app=web", read_selector)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatAsked:
    """What is asked."""

    type: Annotated[Kind, kind_parameter("deploy, po, ns, svc, au, srv … or all")]
    name: Annotated[str, Parameter("only the thing of this name")] = ""
    namespace: Annotated[str, Parameter("only of this namespace; all when absent")] = ""
    all_namespaces: Annotated[bool, Parameter("of every namespace")] = False
    to_type: Annotated[Kind | None, _other_kind("only traffic to things of this type")] = None
    to_name: Annotated[str, Parameter("only traffic to the thing of this name")] = ""
    to_namespace: Annotated[str, Parameter("only traffic to things of this namespace")] = ""
    from_type: Annotated[Kind | None, _other_kind("only traffic from things of this type")] = None
    from_name: Annotated[str, Parameter("only traffic from the thing of this name")] = ""
    from_namespace: Annotated[str, Parameter("only traffic from things of this namespace")] = ""
    selector: Annotated[Requirement, SELECTOR] = everything
    window: Annotated[Length, WINDOW] = MINUTE


@dataclass(frozen=True, slots=True)
class StatQuery:
    """Stats of `target`, of its traffic to one thing or from one thing, over `window_s`."""

    target: Resource
    window_s: float
    to: Resource | None = None
    source: Resource | None = None
    selector: Requirement = everything

    @classmethod
    def of(cls, asked: StatAsked, *, longest_window_s: float) -> "StatQuery":
        """Raises `InvalidQueryError` for what makes no sense together, or is not kept."""
        target = _target(asked)
        to = _other(asked.to_type, asked.to_name, asked.to_namespace, side="to", target=target)
        source = _other(
            asked.from_type, asked.from_name, asked.from_namespace, side="from", target=target
        )
        if to is not None and source is not None:
            raise InvalidQueryError("--to and --from are mutually exclusive")
        _check_services(target, to=to, source=source)
        _check_policies(target, to=to, source=source)
        check_window(asked.window, longest_s=longest_window_s)
        return cls(target, asked.window.seconds, to, source, asked.selector)

    @property
    def filtered(self) -> bool:
        """Whether only things with such traffic are of interest."""
        return self.to is not None or self.source is not None


def request_selection(query: StatQuery, *, kind: Kind) -> Selection:
    """The series of requests, by the labels that name the rows (namespace first)."""
    target = Resource(kind, query.target.namespace, query.target.name)
    if query.source is not None:
        matching = {**own_labels(query.source), **_destination(target)}
        return Selection({**matching, "direction": "outbound"}, _destination_group(kind))
    if query.to is not None:
        matching = {**own_labels(target), **_destination(query.to)}
        return Selection({**matching, "direction": "outbound"}, _own_group(kind))
    if kind is Kind.SERVICE:
        matching = {**_destination(target), "direction": "outbound"}
        return Selection(matching, _destination_group(kind))
    matching = {**own_labels(target), "direction": "inbound"}
    return Selection(matching, _own_group(kind), without=_ADMINISTRATION)


def tcp_selection(selection: Selection) -> Selection:
    """The same for connections: those that arrive at a proxy, or those it opens."""
    peer = "dst" if selection.matching["direction"] == "outbound" else "src"
    return replace(selection, matching={**selection.matching, "peer": peer})


def check_window(length: Length, *, longest_s: float) -> None:
    """Raises `InvalidQueryError` for one that nothing can be said of."""
    if not SHORTEST_WINDOW_S <= length.seconds <= longest_s:
        bounds = f"from {SHORTEST_WINDOW_S:g}s to {longest_s:g}s"
        raise InvalidQueryError(f"time window {length.text[:40]} is not kept: it must be {bounds}")


def _target(asked: StatAsked) -> Resource:
    if asked.all_namespaces and asked.name:
        reason = "stats for a resource cannot be retrieved by name across all namespaces"
        raise InvalidQueryError(reason)
    # A namespace is in no namespace.
    everywhere = asked.all_namespaces or asked.type is Kind.NAMESPACE
    return Resource(asked.type, "" if everywhere else asked.namespace, asked.name)


def _other(
    kind: Kind | None, name: str, namespace: str, *, side: str, target: Resource
) -> Resource | None:
    if not (kind or name or namespace):
        return None
    if name and not kind:
        raise InvalidQueryError(f"{side}_name needs {side}_type")
    kind = kind or target.kind
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


def _check_policies(target: Resource, *, to: Resource | None, source: Resource | None) -> None:
    for side, other in (("to", to), ("from", source)):
        if other is None:
            continue
        if target.kind in POLICIES or other.kind in POLICIES:
            reason = f"'{side}' queries are not supported with policy resources: what they count is inbound"
            raise InvalidQueryError(reason)
        if other.kind is Kind.TRAFFICSPLIT or (side == "to" and target.kind is Kind.TRAFFICSPLIT):
            reason = "a trafficsplit is only supported as a target, of 'from' queries too"
            raise InvalidQueryError(reason)


def own_labels(resource: Resource) -> dict[str, str]:
    """The labels of the proxy's own pod, which the scraper adds."""
    matching: dict[str, str] = {}
    if resource.name:
        matching[resource.kind.label] = resource.name
    if resource.namespace:
        matching["namespace"] = resource.namespace
    return matching


def _destination(resource: Resource) -> dict[str, str]:
    """The labels that discovery gave to where the traffic went."""
    matching: dict[str, str] = {}
    if resource.name:
        matching[resource.kind.dst_label] = resource.name
    # An authority says itself in which namespace it is.
    if resource.namespace and not (resource.name and resource.kind is Kind.AUTHORITY):
        matching["dst_namespace"] = resource.namespace
    return matching


def _own_group(kind: Kind) -> tuple[str, ...]:
    return ("namespace",) if kind is Kind.NAMESPACE else ("namespace", kind.label)


def _destination_group(kind: Kind) -> tuple[str, ...]:
    if kind is Kind.NAMESPACE:
        return ("dst_namespace",)
    return ("dst_namespace", kind.dst_label)
