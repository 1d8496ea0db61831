"""Rules of routes. Those of Gateway API may be another controller's: what they say in words that we do not
know is not ours to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from linkerd2_py.controlplane.mesh.routes import POLICY
from linkerd2_py.controlplane.policy.admission.fields import Asked, Field, kind_of
from linkerd2_py.controlplane.policy.admission.notations import (
    duration_problem,
    header_name_problem,
    header_value_problem,
    path_problem,
    regex_problem,
    seconds_of,
)
from linkerd2_py.controlplane.policy.outbound.annotated import (
    AnnotationError,
    grpc_retry,
    http_retry,
    timeouts,
)

_EGRESS: Final = (POLICY, "egressnetwork")
_SERVICE: Final = ("core", "service")
_REGEX: Final = "RegularExpression"
_OF_LINKERD: Final = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect")


def check_linkerd_http_route(asked: Asked) -> None:
    """An HTTPRoute of policy.linkerd.io: every word is ours."""
    spec = asked.spec
    _check_parents(spec)
    _check_annotations(asked, retry=http_retry)
    for rule in spec["rules"]:
        _check_http_matches(rule)
        for filters in (rule["filters"], *(one["filters"] for one in rule["backendRefs"])):
            for one in filters:
                if one["type"].text() not in _OF_LINKERD:
                    one["type"].refuse(f"no proxy applies the filter {one['type'].text()!r}")
                _check_filter(one)
        _check_timeouts(rule["timeouts"])


def check_gateway_http_route(asked: Asked) -> None:
    """An HTTPRoute of Gateway API."""
    spec = asked.spec
    _check_parents(spec)
    _check_annotations(asked, retry=http_retry)
    for rule in spec["rules"]:
        _check_http_matches(rule)
        for one in rule["filters"]:
            _check_filter(one)
        _check_backends(rule)


def check_grpc_route(asked: Asked) -> None:
    """A GRPCRoute of Gateway API."""
    spec = asked.spec
    _check_parents(spec)
    _check_annotations(asked, retry=grpc_retry)
    for rule in spec["rules"]:
        for match in rule["matches"]:
            if match["method"]["type"].text() == _REGEX:
                match["method"]["type"].refuse("no proxy matches methods by regular expressions")
            _check_values(match["headers"], name=header_name_problem)
        for one in rule["filters"]:
            _check_filter(one)
        _check_backends(rule)


def check_connection_route(asked: Asked) -> None:
    """A TLSRoute or a TCPRoute of Gateway API."""
    spec = asked.spec
    _check_parents(spec)
    if len(spec["rules"]) != 1:
        spec["rules"].refuse("must be one rule")


def _check_parents(spec: Field) -> None:
    for parent in spec["parentRefs"]:
        if kind_of(parent) == _EGRESS and not parent["port"].is_said:
            parent["port"].refuse("of an EgressNetwork a port must be named")


def _check_annotations(asked: Asked, *, retry: Callable[[Mapping[str, str]], object]) -> None:
    """Only calls to services and to the outside are retried and timed out."""
    if not any(kind_of(parent) in {_EGRESS, _SERVICE} for parent in asked.spec["parentRefs"]):
        return
    try:
        retry(asked.annotations)
        timeouts(asked.annotations)
    except AnnotationError as error:
        Field(asked.annotations, "metadata.annotations").refuse(str(error))


def _check_http_matches(rule: Field) -> None:
    for match in rule["matches"]:
        is_regex = match["path"]["type"].text() == _REGEX
        match["path"]["value"].check(regex_problem if is_regex else path_problem)
        _check_values(match["headers"], name=header_name_problem)
        _check_values(match["queryParams"], name=lambda _: "")


def _check_values(values: Field, *, name: Callable[[str], str]) -> None:
    for one in values:
        one["name"].check(name)
        if one["type"].text() == _REGEX:
            one["value"].check(regex_problem)


def _check_filter(found: Field) -> None:
    for name in ("requestHeaderModifier", "responseHeaderModifier"):
        modifier = found[name]
        for header in (*modifier["add"], *modifier["set"]):
            header["name"].check(header_name_problem)
            header["value"].check(header_value_problem)
        for removed in modifier["remove"]:
            removed.check(header_name_problem)
    redirect = found["requestRedirect"]
    redirect["statusCode"].number(100, 999)
    path = redirect["path"]
    if path.is_said:
        full, prefix = path["replaceFullPath"], path["replacePrefixMatch"]
        if not full.is_said and not prefix.is_said:
            path.refuse("must say replaceFullPath or replacePrefixMatch")
        if full.is_said:
            full.check(path_problem)
        elif prefix.text():
            prefix.check(path_problem)


def _check_backends(rule: Field) -> None:
    """A service has no port of its own."""
    for backend in rule["backendRefs"]:
        group, kind = backend["group"].text() or "core", backend["kind"].text() or "Service"
        if (group, kind) == ("core", "Service") and not backend["port"].value:
            backend["port"].refuse("of a Service a port must be named")


def _check_timeouts(said: Field) -> None:
    for name in ("request", "backendRequest"):
        said[name].check(duration_problem)
    whole, one_try = seconds_of(said["request"].text()), seconds_of(said["backendRequest"].text())
    if whole is not None and one_try is not None and one_try > whole:
        said["backendRequest"].refuse("must not be longer than the whole request may take")
