"""What annotations of a pod, and of its namespace, change in the values that its proxy is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from linkerd2_py.base.durations import parse_duration
from linkerd2_py.base.quantities import read_quantity, whole_cores
from linkerd2_py.base.tap import DISABLED_ANNOTATION
from linkerd2_py.charts.paths import look_up, put
from linkerd2_py.controlplane.injector import names
from linkerd2_py.controlplane.injector.names import ALPHA, BETA, CONFIG
from linkerd2_py.controlplane.injector.ports import opaque_ports

Values = dict[str, Any]
_TRACE_LABELS: Final = "proxy.tracing.labels"
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_TRUE: Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "FALSE", "false", "False"))
POLICIES: Final = (
    *("all-unauthenticated", "all-authenticated", "cluster-unauthenticated"),
    *("cluster-authenticated", "deny", "audit"),
)


def _text(said: str) -> str:
    return said


def is_true(said: str) -> bool:
    """As Go's programs read it. ValueError for other words."""
    if said in _TRUE or said in _FALSE:
        return said in _TRUE
    raise ValueError(f"{said[:40]!r} is neither true nor false")


def _is_enabled(said: str) -> bool:
    if said not in (names.ENABLED, names.DISABLED):
        raise ValueError(f"{said[:40]!r} is not known: use {names.ENABLED} or {names.DISABLED}")
    return said == names.ENABLED


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(said: str) -> int:
        if not _WHOLE.fullmatch(said) or not least <= int(said) <= most:
            raise ValueError(f"{said[:40]!r} is not a whole number from {least} to {most}")
        return int(said)

    return read


def _milliseconds(said: str) -> str:
    return f"{int(parse_duration(said) * 1000)}ms"


def _seconds(said: str) -> str:
    return f"{int(parse_duration(said))}s"


def whole_seconds(said: str) -> int:
    """Of a duration. ValueError for what is none."""
    return int(parse_duration(said))


def _quantity(said: str) -> str:
    read_quantity(said)
    return said


def _ratio(said: str) -> float:
    try:
        found = float(said)
    except ValueError:
        found = 0.0
    if not 0.0 < found < 1.0:
        raise ValueError(f"{said[:40]!r} is not a number between 0.0 and 1.0")
    return found


def _policy(said: str) -> str:
    if said not in POLICIES:
        raise ValueError(f"{said[:40]!r} is not known: use {', '.join(POLICIES)}")
    return said


def _access_log(said: str) -> str:
    if said.lower() not in ("", "apache", "json"):
        raise ValueError(f"{said[:40]!r} is not known: use apache or json")
    return said.lower()


class Override(NamedTuple):
    """An annotation, and what it puts where."""

    annotation: str
    value: str
    read: Callable[[str], Any]


_port: Final = _whole(1, 65535)
_id: Final = _whole(0, 2**31 - 1)
OVERRIDES: Final = (
    Override(f"{CONFIG}proxy-image", "proxy.image.name", _text),
    Override(f"{CONFIG}proxy-version", "proxy.image.version", _text),
    Override(f"{CONFIG}image-pull-policy", "proxy.image.pullPolicy", _text),
    Override(f"{CONFIG}debug-image", "debugContainer.image.name", _text),
    Override(f"{CONFIG}debug-image-version", "debugContainer.image.version", _text),
    Override(f"{CONFIG}debug-image-pull-policy", "debugContainer.image.pullPolicy", _text),
    Override(f"{CONFIG}control-port", "proxy.ports.control", _port),
    Override(f"{CONFIG}inbound-port", "proxy.ports.inbound", _port),
    Override(f"{CONFIG}admin-port", "proxy.ports.admin", _port),
    Override(f"{CONFIG}outbound-port", "proxy.ports.outbound", _port),
    Override(f"{CONFIG}pod-inbound-ports", "proxy.podInboundPorts", _text),
    Override(f"{CONFIG}proxy-admin-shutdown", "proxy.enableShutdownEndpoint", _is_enabled),
    Override(f"{CONFIG}proxy-log-level", "proxy.logLevel", _text),
    Override(f"{CONFIG}proxy-log-http-headers", "proxy.logHTTPHeaders", _text),
    Override(f"{CONFIG}proxy-log-format", "proxy.logFormat", _text),
    Override(
        f"{CONFIG}proxy-require-identity-inbound-ports",
        "proxy.requireIdentityOnInboundPorts",
        _text,
    ),
    Override(f"{CONFIG}proxy-metrics-hostname-labels", "proxy.metrics.hostnameLabels", is_true),
    Override(
        f"{CONFIG}proxy-outbound-connect-timeout", "proxy.outboundConnectTimeout", _milliseconds
    ),
    Override(
        f"{CONFIG}proxy-inbound-connect-timeout", "proxy.inboundConnectTimeout", _milliseconds
    ),
    Override(
        f"{CONFIG}proxy-outbound-discovery-cache-unused-timeout",
        "proxy.outboundDiscoveryCacheUnusedTimeout",
        _seconds,
    ),
    Override(
        f"{CONFIG}proxy-inbound-discovery-cache-unused-timeout",
        "proxy.inboundDiscoveryCacheUnusedTimeout",
        _seconds,
    ),
    Override(
        f"{CONFIG}proxy-disable-outbound-protocol-detect-timeout",
        "proxy.disableOutboundProtocolDetectTimeout",
        is_true,
    ),
    Override(
        f"{CONFIG}proxy-disable-inbound-protocol-detect-timeout",
        "proxy.disableInboundProtocolDetectTimeout",
        is_true,
    ),
    Override(f"{CONFIG}shutdown-grace-period", "proxy.shutdownGracePeriod", _milliseconds),
    Override(f"{CONFIG}enable-gateway", "proxy.isGateway", is_true),
    Override(
        f"{ALPHA}proxy-wait-before-exit-seconds",
        "proxy.waitBeforeExitSeconds",
        _whole(0, 2**31 - 1),
    ),
    # The names that it had before it was settled; the last of these that is said holds.
    Override(f"{ALPHA}proxy-enable-native-sidecar", "proxy.nativeSidecar", is_true),
    Override(f"{BETA}proxy-enable-native-sidecar", "proxy.nativeSidecar", is_true),
    Override(f"{CONFIG}proxy-enable-native-sidecar", "proxy.nativeSidecar", is_true),
    Override(f"{CONFIG}proxy-cpu-request", "proxy.resources.cpu.request", _quantity),
    Override(f"{CONFIG}proxy-cpu-request", "proxy.runtime.workers.minimum", whole_cores),
    Override(f"{CONFIG}proxy-cpu-limit", "proxy.resources.cpu.limit", _quantity),
    Override(f"{CONFIG}proxy-cpu-limit", "proxy.runtime.workers.maximum", whole_cores),
    Override(f"{CONFIG}proxy-cpu-ratio-limit", "proxy.runtime.workers.maximumCPURatio", _ratio),
    Override(f"{CONFIG}proxy-memory-request", "proxy.resources.memory.request", _quantity),
    Override(f"{CONFIG}proxy-memory-limit", "proxy.resources.memory.limit", _quantity),
    Override(
        f"{CONFIG}proxy-ephemeral-storage-request",
        "proxy.resources.ephemeral-storage.request",
        _quantity,
    ),
    Override(
        f"{CONFIG}proxy-ephemeral-storage-limit",
        "proxy.resources.ephemeral-storage.limit",
        _quantity,
    ),
    Override(f"{CONFIG}proxy-uid", "proxy.uid", _id),
    Override(f"{CONFIG}proxy-gid", "proxy.gid", _whole(-1, 2**31 - 1)),
    Override(f"{CONFIG}enable-external-profiles", "proxy.enableExternalProfiles", is_true),
    Override(f"{CONFIG}skip-inbound-ports", "proxyInit.ignoreInboundPorts", _text),
    Override(f"{CONFIG}skip-outbound-ports", "proxyInit.ignoreOutboundPorts", _text),
    Override(f"{CONFIG}skip-subnets", "proxyInit.skipSubnets", _text),
    Override(f"{CONFIG}proxy-await", "proxy.await", _is_enabled),
    Override(f"{CONFIG}default-inbound-policy", "proxy.defaultInboundPolicy", _policy),
    Override(DISABLED_ANNOTATION, "proxy.disableTap", is_true),
    Override(f"{CONFIG}access-log", "proxy.accessLog", _access_log),
    Override(names.CLOSE_WAIT, "proxyInit.closeWaitTimeoutSecs", whole_seconds),
)
INHERITED: Final = frozenset(
    (
        *(one.annotation for one in OVERRIDES),
        *(names.INJECT, names.OPAQUE_PORTS, names.ADDITIONAL_ENV, names.DEBUG_SIDECAR),
    )
)
"""Annotations of a namespace that hold for its pods, where these say nothing else."""


def describe(values: Values, annotations: Mapping[str, str], labels: Mapping[str, str]) -> None:
    """Change in `values` what spans say of a pod, where they are collected, as Linkerd does."""
    if not look_up(values, "proxy.tracing.enabled"):
        return
    said = {
        name.removeprefix(names.RESOURCE): text
        for name, text in annotations.items()
        if name.startswith(names.RESOURCE)
    }
    service = next((labels[name] for name in names.SERVICE_LABELS if name in labels), None)
    own = {} if service is None else {names.SERVICE_NAME: service}
    # A line is an attribute, and what somebody else's line would be is none.
    flat = {name: " ".join(text.split()) for name, text in {**own, **said}.items() if name}
    put(values, _TRACE_LABELS, {**(look_up(values, _TRACE_LABELS) or {}), **flat})


def lay_over(
    values: Values, annotations: Mapping[str, str], *, named_ports: Mapping[str, int]
) -> list[str]:
    """Change `values` as `annotations` say; a line for each that cannot be read, which changes nothing."""
    problems = []
    if annotations.get(names.INJECT) == names.INGRESS:
        put(values, "proxy.isIngress", value=True)
    for annotation, path, read in OVERRIDES:
        said = annotations.get(annotation)
        if said is None:
            continue
        try:
            put(values, path, read(said))
        except ValueError as error:
            problems.append(f"{annotation}: {error}")
    listing = annotations.get(names.OPAQUE_PORTS)
    if listing is not None:
        taken, strange = opaque_ports(listing, named_ports)
        put(values, "proxy.opaquePorts", taken)
        problems += [f"{names.OPAQUE_PORTS}: {one[:40]!r} is no port" for one in strange if one]
    return problems


def add_env(values: Values, *layers: str | None) -> list[str]:
    """Variables of the proxy, of annotations: of those of one name the last holds."""
    problems = []
    held = look_up(values, "proxy.additionalEnv", [])
    merged = {_name(one): one for one in held if _name(one)}
    for layer in filter(None, layers):
        try:
            merged |= {_name(one): one for one in _variables(layer)}
        except ValueError as error:
            problems.append(f"{names.ADDITIONAL_ENV}: {error}")
    if merged:
        put(values, "proxy.additionalEnv", list(merged.values()))
    return problems


def _variables(text: str) -> Iterable[Any]:
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(found, list) or not all(map(_name, found)):
        raise ValueError("not a list of variables, each with a name")
    return found


def _name(variable: object) -> str:
    found = variable.get("name") if isinstance(variable, dict) else ""
    return found if isinstance(found, str) else ""
