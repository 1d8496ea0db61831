"""The rules of `timeout`, `timeouts`, `retries`, `breaker` and `preferZone` in a mesh.yaml: how long a
request may take, how often it is tried, when an endpoint is left alone, and where it is best. They become the
annotations that say the same in a cluster.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from linkerd2_py.controlplane.mesh.balancing import PREFER_ZONE
from linkerd2_py.controlplane.mesh.objects import Labels
from linkerd2_py.controlplane.policy.outbound import annotated
from linkerd2_py.controlplane.policy.outbound.annotated import AnnotationError
from linkerd2_py.controlplane.sources.local import notations
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

OF_ROUTES: Final = ("timeout", "timeouts", "retries", "breaker")
"""What a route may say."""
OF_SERVICES: Final = (*OF_ROUTES, "preferZone")
"""What a service may say, for all that its routes do not."""
_TIMEOUTS: Final = ("request", "response", "idle")
_RETRIES: Final = ("when", "limit", "timeout")
_MOST_RETRIES: Final = 100
_CODES: Final = ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")
_STATUS: Final = re.compile(r"(5xx|gateway-error|[1-5][0-9]{2}(-[1-5][0-9]{2})?)\Z")
_BREAKER: Final = ("failures", "backoff", "jitter", "successRate", "honorRetryAfter")
_SUCCESS_RATE: Final = ("below", "window", "requests")
_ACCRUAL: Final = "balancer.linkerd.io/failure-accrual"
_CONSECUTIVE: Final = f"{_ACCRUAL}-consecutive"
_ALPHA: Final = "balancer.alpha.linkerd.io/failure-accrual"
_NO_BREAKER: Final = {_ACCRUAL: "consecutive", f"{_CONSECUTIVE}-max-failures": "0"}
"""For a route of a service that has some."""
_BACKOFF: Final = re.compile(r"(\S+?)\.\.(\S+)\Z")
_RATIO: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?\Z")
_MOST_FAILURES: Final = 1_000_000

Found = dict[str, str]


class LimitRules:
    """What cannot be used is noted in the reader and left out. `http` and `grpc` are what there are requests
    of: conditions that nothing would look at are refused.
    """

    def __init__(self, reader: NodeReader) -> None:
        self._reader = reader

    def annotations(
        self, entries: dict[str, Spot], *, http: bool, grpc: bool, of_route: bool = False
    ) -> Labels:
        """All that these fields say, of those that are there."""
        found = self._timeouts(entries)
        if "retries" in entries:
            found |= self._retries(entries["retries"], http=http, grpc=grpc)
        if "breaker" in entries:
            found |= self._breaker(entries["breaker"]) or (_NO_BREAKER if of_route else {})
        if "preferZone" in entries and self._reader.boolean(entries["preferZone"]):
            found[PREFER_ZONE] = "true"
        return MappingProxyType(found)

    def _timeouts(self, entries: dict[str, Spot]) -> Found:
        if "timeout" in entries and "timeouts" in entries:
            reason = "says the same as timeouts.request: say either"
            self._reader.refuse(entries["timeout"], reason=reason)
            return {}
        if "timeout" in entries:
            return self._span(entries["timeout"], "timeout.linkerd.io/request")
        if "timeouts" not in entries:
            return {}
        said = self._reader.some(entries["timeouts"], allowed=_TIMEOUTS)
        found: Found = {}
        for name, spot in said.items():
            found |= self._span(spot, f"timeout.linkerd.io/{name}")
        return found

    def _retries(self, spot: Spot, *, http: bool, grpc: bool) -> Found:
        said = self._reader.some(spot, allowed=_RETRIES)
        if not said:
            return {}
        if "when" not in said:
            reason = "is missing: after what a request is tried again, such as [5xx]"
            self._reader.refuse(spot.below("when", node=spot.node), reason=reason)
            return {}
        found = self._conditions(said["when"], http=http, grpc=grpc)
        if "limit" in said:
            limit = self._reader.whole(said["limit"], least=1, most=_MOST_RETRIES)
            found |= {} if limit is None else {"retry.linkerd.io/limit": str(limit)}
        if "timeout" in said:
            found |= self._span(said["timeout"], "retry.linkerd.io/timeout")
        return found

    def _conditions(self, spot: Spot, *, http: bool, grpc: bool) -> Found:
        words: dict[str, list[str]] = {"http": [], "grpc": []}
        listed = self._reader.items(spot) if self._reader.is_list(spot) else [spot]
        for each in listed or ():
            text = self._reader.text(each)
            if text is None:
                continue
            if text in _CODES:
                self._condition(each, words["grpc"], text, wanted=grpc, of="gRPC")
            elif _STATUS.match(text) and _in_order(text):
                self._condition(each, words["http"], text, wanted=http, of="HTTP")
            else:
                known = f"5xx, gateway-error, 429, 500-504, or of gRPC {', '.join(_CODES)}"
                reason = f"must be one of {known}, not {text[:40]!r}"
                self._reader.refuse(each, reason=reason)
        return {f"retry.linkerd.io/{kind}": ",".join(said) for kind, said in words.items() if said}

    def _condition(self, spot: Spot, said: list[str], text: str, *, wanted: bool, of: str) -> None:
        if wanted:
            said.append(text)
            return
        other = "HTTP" if of == "gRPC" else "gRPC"
        hint = "; a route of gRPC is one with match: {grpc: '*'}" if of == "gRPC" else ""
        reason = f"{text} is of {of}, and nothing here is: its routes are of {other}{hint}"
        self._reader.refuse(spot, reason=reason)

    def _breaker(self, spot: Spot) -> Found:
        if not self._reader.is_mapping(spot):
            wanted = self._reader.boolean(spot)
            return {_ACCRUAL: "consecutive"} if wanted else {}
        said = self._reader.fields(spot, allowed=_BREAKER) or {}
        found = {_ACCRUAL: "unified" if "successRate" in said else "consecutive"}
        if "failures" in said:
            most = self._reader.whole(said["failures"], least=1, most=_MOST_FAILURES)
            found[f"{_CONSECUTIVE}-max-failures"] = str(most or 1)
        if "backoff" in said:
            found |= self._backoff(said["backoff"])
        if "jitter" in said:
            found |= self._ratio(said["jitter"], f"{_CONSECUTIVE}-jitter-ratio")
        if "successRate" in said:
            found |= self._success_rate(said["successRate"])
        if "honorRetryAfter" in said:
            found |= self._retry_after(said)
        return self._sound(found, spot=spot)

    def _backoff(self, spot: Spot) -> Found:
        text = self._reader.text(spot)
        if text is None:
            return {}
        ends = _BACKOFF.match(text)
        try:
            spans = [annotated.duration(end) for end in ends.groups()] if ends else []
        except AnnotationError:
            spans = []
        if not ends or not spans or not 0 < spans[0] <= spans[1]:
            reason = f"must be a shortest and a longest time such as 1s..60s, not {text[:40]!r}"
            self._reader.refuse(spot, reason=reason)
            return {}
        return {f"{_CONSECUTIVE}-min-penalty": ends[1], f"{_CONSECUTIVE}-max-penalty": ends[2]}

    def _success_rate(self, spot: Spot) -> Found:
        prefix = f"{_ALPHA}-success-rate"
        if not self._reader.is_mapping(spot):
            return self._share(spot, f"{prefix}-threshold")
        said = self._reader.some(spot, allowed=_SUCCESS_RATE)
        found = self._share(said["below"], f"{prefix}-threshold") if "below" in said else {}
        if "window" in said:
            found |= self._span(said["window"], f"{prefix}-window")
        if "requests" in said:
            least = self._reader.whole(said["requests"], least=1, most=_MOST_FAILURES)
            found |= {} if least is None else {f"{prefix}-min-requests": str(least)}
        return found

    def _retry_after(self, said: dict[str, Spot]) -> Found:
        spot = said["honorRetryAfter"]
        wanted = self._reader.boolean(spot)
        if wanted and "successRate" not in said:
            self._reader.refuse(spot, reason="needs successRate beside it")
        return {f"{_ALPHA}-honor-retry-after": "true"} if wanted else {}

    def _sound(self, found: Found, *, spot: Spot) -> Found:
        """What Linkerd would not take of a service, nobody may write here."""
        try:
            annotated.accrual(found)
        except AnnotationError as error:
            self._reader.refuse(spot, reason=str(error))
        return found

    def _span(self, spot: Spot, annotation: str) -> Found:
        text = notations.span(self._reader, spot)
        return {} if text is None else {annotation: text}

    def _share(self, spot: Spot, annotation: str) -> Found:
        part = notations.share(self._reader, spot)
        return {} if part is None else {annotation: f"{float(part):g}"}

    def _ratio(self, spot: Spot, annotation: str) -> Found:
        text = self._reader.text(spot)
        if text is None:
            return {}
        if _RATIO.match(text) and float(text) <= 100:
            return {annotation: text}
        self._reader.refuse(spot, reason=f"must be a number from 0 to 100, not {text[:40]!r}")
        return {}


def _in_order(condition: str) -> bool:
    """Whether a range of statuses ends after its begin."""
    first, dash, last = condition.partition("-")
    return not dash or condition == "gateway-error" or first <= last
