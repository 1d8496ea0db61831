"""The rules of the `profiles` of a mesh.yaml: what ServiceProfiles say in a cluster, by the same names, of a
service of the file.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from linkerd2_py._ext.policy.regex import Regex, RegexError
from linkerd2_py.base.durations import parse_duration
from linkerd2_py.base.names import service_name
from linkerd2_py.controlplane.mesh.service_profiles import (
    RequestMatch,
    ResponseClass,
    ResponseMatch,
    RetryBudget,
    Route,
    ServiceProfile,
    StatusRange,
)
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

T = TypeVar("T")
_PROFILE = ("routes", "retryBudget")
_ROUTE = ("name", "condition", "responseClasses", "isRetryable", "timeout")
_REQUEST = ("all", "any", "not", "method", "pathRegex")
_CLASS = ("condition", "isFailure")
_RESPONSE = ("all", "any", "not", "status")
_STATUS = ("min", "max")
_BUDGET = ("retryRatio", "minRetriesPerSecond", "ttl")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}\Z")
_RATIO = re.compile(r"[0-9]{1,4}(\.[0-9]{1,9})?\Z")
_LOWEST_STATUS, _HIGHEST_STATUS = 100, 599
_MOST_A_SECOND = 1_000_000
_MOST_ROUTES = 1000
_LONGEST_NAME = 256
# Far deeper than anybody writes, and than anything here could not follow.
_DEEPEST = 32


class ProfileRules:
    """What cannot be used is noted in the reader."""

    def __init__(self, reader: NodeReader, *, namespace: str) -> None:
        self._reader = reader
        self._namespace = namespace

    def profile(self, service: str, spot: Spot) -> ServiceProfile | None:
        """Of one service; None when something about it is wrong."""
        known = len(self._reader.problems)
        entries = self._reader.fields(spot, allowed=_PROFILE) or {}
        routes = self._routes(entries["routes"]) if "routes" in entries else ()
        budget = self._budget(entries["retryBudget"]) if "retryBudget" in entries else None
        if len(self._reader.problems) > known:
            return None
        name = service_name(service, namespace=self._namespace)
        return ServiceProfile(self._namespace, name, routes, budget)

    def _routes(self, spot: Spot) -> tuple[Route, ...]:
        found: list[Route] = []
        spots = self._reader.items(spot) or []
        if len(spots) > _MOST_ROUTES:
            self._reader.refuse(spot, reason=f"has more than {_MOST_ROUTES} routes")
        for each in spots[:_MOST_ROUTES]:
            route = self._route(each)
            if route is None:
                continue
            if any(other.name == route.name for other in found):
                self._reader.refuse(each, reason=f"name {route.name[:80]!r} is listed twice")
            found.append(route)
        return tuple(found)

    def _route(self, spot: Spot) -> Route | None:
        entries = self._reader.fields(spot, allowed=_ROUTE)
        if entries is None:
            return None
        for needed in ("name", "condition"):
            if needed not in entries:
                self._reader.refuse(spot.below(needed, node=spot.node), reason="is missing")
        if not {"name", "condition"} <= entries.keys():
            return None
        name = self._name(entries["name"])
        condition = self._request(entries["condition"])
        classes = self._classes(entries["responseClasses"]) if "responseClasses" in entries else ()
        retried = (
            self._reader.boolean(entries["isRetryable"]) if "isRetryable" in entries else False
        )
        timeout_s = self._duration(entries["timeout"]) if "timeout" in entries else 0.0
        if name is None or condition is None:
            return None
        return Route(name, condition, classes, bool(retried), timeout_s or 0.0)

    def _name(self, spot: Spot) -> str | None:
        text = self._reader.text(spot)
        if text is None or (0 < len(text) <= _LONGEST_NAME and text.isprintable()):
            return text
        self._reader.refuse(
            spot, reason=f"must be 1 to {_LONGEST_NAME} characters that can be shown"
        )
        return None

    # ---- requests

    def _request(self, spot: Spot, depth: int = 0) -> RequestMatch | None:
        entries = self._condition(spot, allowed=_REQUEST, depth=depth)
        if entries is None:
            return None
        inverse = self._request(entries["not"], depth + 1) if "not" in entries else None
        return RequestMatch(
            all=self._each(entries["all"], self._request, depth) if "all" in entries else None,
            any=self._each(entries["any"], self._request, depth) if "any" in entries else None,
            inverse=inverse,
            method=self._method(entries["method"]) if "method" in entries else "",
            path=self._pattern(entries["pathRegex"]) if "pathRegex" in entries else "",
        )

    def _condition(
        self, spot: Spot, *, allowed: tuple[str, ...], depth: int
    ) -> dict[str, Spot] | None:
        if depth > _DEEPEST:
            self._reader.refuse(spot, reason=f"is nested more than {_DEEPEST} times")
            return None
        entries = self._reader.fields(spot, allowed=allowed)
        if entries is not None and not entries:
            self._reader.refuse(spot, reason=f"must say something: {', '.join(allowed)}")
            return None
        return entries

    def _each(self, spot: Spot, read: Callable[[Spot, int], T | None], depth: int) -> tuple[T, ...]:
        found = [read(each, depth + 1) for each in self._reader.items(spot) or ()]
        return tuple(one for one in found if one is not None)

    def _method(self, spot: Spot) -> str:
        text = self._reader.text(spot)
        if text is not None and not _METHOD.match(text):
            self._reader.refuse(spot, reason=f"must be a method of HTTP, not {text[:40]!r}")
        return text or ""

    def _pattern(self, spot: Spot) -> str:
        text = self._reader.text(spot)
        if text == "":
            self._reader.refuse(spot, reason="must not be empty")
        if not text:
            return ""
        try:
            Regex(text.strip().encode())
        except RegexError as error:
            self._reader.refuse(spot, reason=f"cannot be used as a pattern: {error}")
        return text

    # ---- responses

    def _classes(self, spot: Spot) -> tuple[ResponseClass, ...]:
        found = []
        for each in self._reader.items(spot) or ():
            entries = self._reader.fields(each, allowed=_CLASS)
            if entries is None:
                continue
            if "condition" not in entries:
                self._reader.refuse(each.below("condition", node=each.node), reason="is missing")
                continue
            condition = self._response(entries["condition"])
            fails = self._reader.boolean(entries["isFailure"]) if "isFailure" in entries else False
            if condition is not None:
                found.append(ResponseClass(condition, bool(fails)))
        return tuple(found)

    def _response(self, spot: Spot, depth: int = 0) -> ResponseMatch | None:
        entries = self._condition(spot, allowed=_RESPONSE, depth=depth)
        if entries is None:
            return None
        inverse = self._response(entries["not"], depth + 1) if "not" in entries else None
        return ResponseMatch(
            all=self._each(entries["all"], self._response, depth) if "all" in entries else None,
            any=self._each(entries["any"], self._response, depth) if "any" in entries else None,
            inverse=inverse,
            status=self._status(entries["status"]) if "status" in entries else None,
        )

    def _status(self, spot: Spot) -> StatusRange | None:
        entries = self._condition(spot, allowed=_STATUS, depth=0)
        if entries is None:
            return None
        bounds = [
            self._reader.whole(entries[name], least=_LOWEST_STATUS, most=_HIGHEST_STATUS)
            if name in entries
            else 0
            for name in _STATUS
        ]
        lowest, highest = (bound or 0 for bound in bounds)
        if 0 < highest < lowest:
            self._reader.refuse(spot, reason=f"no status is from {lowest} to {highest}")
        return StatusRange(lowest, highest)

    # ---- the budget of retries

    def _budget(self, spot: Spot) -> RetryBudget | None:
        entries = self._reader.fields(spot, allowed=_BUDGET)
        if entries is None:
            return None
        for missing in (name for name in _BUDGET if name not in entries):
            self._reader.refuse(spot.below(missing, node=spot.node), reason="is missing")
        if len(entries) < len(_BUDGET):
            return None
        ratio = self._ratio(entries["retryRatio"])
        most = self._reader.whole(entries["minRetriesPerSecond"], least=0, most=_MOST_A_SECOND)
        ttl_s = self._duration(entries["ttl"])
        if ratio is None or most is None or ttl_s is None:
            return None
        return RetryBudget(ratio, most, ttl_s)

    def _ratio(self, spot: Spot) -> float | None:
        text = self._reader.text(spot)
        if text is None:
            return None
        if _RATIO.match(text) and float(text) <= 1000:
            return float(text)
        self._reader.refuse(spot, reason=f"must be a number from 0 to 1000, not {text[:40]!r}")
        return None

    def _duration(self, spot: Spot) -> float | None:
        text = self._reader.text(spot)
        if text is None:
            return None
        try:
            return parse_duration(text)
        except ValueError:
            self._reader.refuse(
                spot, reason=f"must be a time such as 300ms or 10s, not {text[:40]!r}"
            )
            return None
