"""Reads the environment into a `Config`, or lists everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import starmap
from typing import Any, Final, NamedTuple

from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.base.names import PROXY_ENV_PREFIX
from linkerd2_py.proxy.addresses import SocketAddr, matches_suffix
from linkerd2_py.proxy.config import identity, parse, table
from linkerd2_py.proxy.config.setting import Setting, Values
from linkerd2_py.proxy.config.types import (
    AdminSettings,
    Balancing,
    Config,
    Destination,
    Dns,
    Http2Server,
    InboundPolicy,
    KeyRequest,
    Logs,
    PolicyService,
    Side,
    SocketTuning,
    StreamLimits,
    TapSettings,
    Tracing,
)

OTEL_ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"
"""OpenTelemetry's own name, as all that speaks OTLP knows it."""


class Problem(NamedTuple):
    """One variable that is wrong, or that does not do what it should: its full name and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class ConfigError(Exception):
    """The environment cannot be used; one line for each problem."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def load(environ: Mapping[str, str]) -> Config:
    """The configuration in `environ`. ConfigError lists every bad value, and after them the names that are
    not known, one of which may be a missing one misspelt.
    """
    disabled = is_identity_disabled(environ)
    if disabled:
        environ = {name: text for name, text in environ.items() if not identity.is_ignored(name)}
    values, problems = _read(environ)
    if not disabled:
        problems += _missing(identity.missing, values, problems)
    if not problems:
        problems = _contradictions(values)
    if problems:
        raise ConfigError((*problems, *_unknown(environ)))
    plain = starmap(_problem, identity.plain_services(values))
    warnings = (*plain, *_missed(values), *_not_tapped(values), *_unknown(environ))
    return _build(
        values,
        warnings=tuple(map(str, warnings)),
        not_used_yet=_not_used_yet(environ),
        otel_attributes=environ.get(OTEL_ATTRIBUTES, ""),
    )


def is_identity_disabled(environ: Mapping[str, str]) -> bool:
    """Whether the proxy of this environment is to have no identity."""
    return bool(environ.get(table.IDENTITY_DISABLED.variable, "").strip())


def load_key_request(environ: Mapping[str, str]) -> KeyRequest:
    """The part of `environ` that `proxy-identity` looks at. ConfigError as `load`, about these variables
    alone.
    """
    values, problems = _read(
        {full: text for full, text in environ.items() if full in identity.KEY_VARIABLES}
    )
    problems += _missing(identity.missing_for_key, values, problems)
    if problems:
        raise ConfigError(tuple(problems))
    return KeyRequest(directory=values[table.IDENTITY_DIR], local_name=identity.local_name(values))


def _read(environ: Mapping[str, str]) -> tuple[Values, list[Problem]]:
    values = Values()
    problems = []
    for full, name in _names(environ):
        setting, new = table.SETTINGS.get(name), table.RENAMED.get(name)
        try:
            if setting is not None:
                values.read(setting, environ[full].strip())
        except ValueError as error:
            problems.append(Problem(full, str(error)))
        if new is not None:
            problems.append(Problem(full, f"was renamed: use {new.variable}"))
    return values, problems


def _names(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Our variables, each with its name without the prefix."""
    for full in sorted(environ):
        if full.startswith(PROXY_ENV_PREFIX):
            yield full, full.removeprefix(PROXY_ENV_PREFIX)


def _unknown(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Variables that mean nothing here. They are no error: an injector knows more than one proxy."""
    for full, name in _names(environ):
        if name not in table.SETTINGS and name not in table.RENAMED:
            yield Problem(full, f"unknown variable{_near(name)}")


def _near(name: str) -> str:
    import difflib  # noqa: PLC0415  # 0.2 MiB that few proxies need

    near = difflib.get_close_matches(name, table.SETTINGS, n=1)
    return f"; did you mean {PROXY_ENV_PREFIX}{near[0]}?" if near else ""


def _missed(values: Values) -> Iterator[Problem]:
    """What is asked for and not there yet, each with what is so instead."""
    for one in table.SETTINGS.values():
        if one.fate == "missed" and values[one]:
            yield _problem(one, f"not used yet: {one.meaning.replace('`', '')}")


def _not_tapped(values: Values) -> Iterator[Problem]:
    if values[table.TAP_SVC_NAME] and values[table.IDENTITY_DISABLED]:
        yield _problem(table.TAP_SVC_NAME, "nobody can tap this proxy, for it has no identity")


def _contradictions(values: Values) -> list[Problem]:
    """What each value alone cannot show."""
    found = list(starmap(_problem, identity.contradictions(values)))
    for side in (table.INBOUND, table.OUTBOUND):
        found += _order(values, low=side.backoff_min, high=side.backoff_max)
    found += _order(values, low=table.DNS_MIN_TTL, high=table.DNS_MAX_TTL)
    found += _order(values, low=table.IDENTITY_MIN_REFRESH, high=table.IDENTITY_MAX_REFRESH)
    if values[table.DESTINATION_SVC_ADDR] is None:
        found += _needs_destination(values)
    if values[table.POLICY_SVC_ADDR] is not None and not values[table.POLICY_WORKLOAD]:
        found.append(
            _problem(table.POLICY_WORKLOAD, "must be set: in whose name policy is asked for")
        )
    return found


def _missing(
    find: Callable[..., identity.Problems], values: Values, problems: list[Problem]
) -> list[Problem]:
    bad = {problem.name for problem in problems}
    return list(starmap(_problem, find(values, bad=bad)))


def _order(
    values: Values,
    *,
    low: Setting[float | None],
    high: Setting[float | None],
) -> list[Problem]:
    shortest, longest = values[low], values[high]
    if shortest is None or longest is None or shortest <= longest:
        return []
    return [_problem(low, f"must not be longer than {high.variable}")]


def _needs_destination(values: Values) -> list[Problem]:
    """A static port of a mesh service would never find an endpoint."""
    suffixes = values[table.DESTINATION_GET_SUFFIXES]
    names = [
        static.target.host
        for static in values[table.OUTBOUND_STATIC_PORTS]
        if matches_suffix(static.target.host, suffixes=suffixes)
    ]
    if not names:
        return []
    return [_problem(table.DESTINATION_SVC_ADDR, f"must be set: {names[0]} is a name of the mesh")]


def _problem(setting: Setting[Any], reason: str) -> Problem:
    return Problem(setting.variable, reason)


def _not_used_yet(environ: Mapping[str, str]) -> tuple[str, ...]:
    names = (one.variable for one in table.SETTINGS.values() if one.fate == "ignored")
    return tuple(sorted(name for name in names if environ.get(name, "").strip()))


def _build(
    values: Values,
    *,
    warnings: tuple[str, ...],
    not_used_yet: tuple[str, ...],
    otel_attributes: str,
) -> Config:
    outbound_listen = values[table.OUTBOUND_LISTEN_ADDRS] or (values[table.OUTBOUND_LISTEN_ADDR],)
    return Config(
        outbound=_side(values, table.OUTBOUND, listen=outbound_listen),
        inbound=_side(values, table.INBOUND, listen=(values[table.INBOUND_LISTEN_ADDR],)),
        balancing=Balancing(
            penalizes_failures=values[table.OUTBOUND_PENALIZE_FAILURES],
            max_retry_after_s=values[table.OUTBOUND_LOAD_BIASER_MAX_RETRY_AFTER],
        ),
        outbound_static=values[table.OUTBOUND_STATIC_PORTS],
        inbound_static=values[table.INBOUND_STATIC_PORTS],
        inbound_ips=values[table.INBOUND_IPS],
        inbound_policy=InboundPolicy(
            default=values[table.INBOUND_DEFAULT_POLICY],
            cluster_networks=values[table.POLICY_CLUSTER_NETWORKS],
            require_identity=values[table.INBOUND_PORTS_REQUIRE_IDENTITY],
            require_tls=values[table.INBOUND_PORTS_REQUIRE_TLS],
            judges_localhost=values[table.INBOUND_JUDGES_LOCALHOST],
        ),
        inbound_ports=values[table.INBOUND_PORTS],
        policy=_policy(values),
        identity=identity.build(values),
        admin=AdminSettings(
            listen=values[table.ADMIN_LISTEN_ADDR],
            hosts=values[table.ADMIN_HOSTS],
            token_file=values[table.ADMIN_TOKEN_FILE],
            shows_metrics=values[table.ADMIN_SHOWS_METRICS],
        ),
        tap=_tap(values),
        tracing=_tracing(values, otel_attributes=otel_attributes),
        destination=_destination(values),
        dns=Dns(
            resolv_conf=values[table.RESOLV_CONF],
            min_ttl_s=values[table.DNS_MIN_TTL],
            max_ttl_s=values[table.DNS_MAX_TTL],
        ),
        logs=Logs(
            filter_text=values[table.LOG],
            style=values[table.LOG_FORMAT],
            access=values[table.ACCESS_LOG],
        ),
        metrics_retain_idle_s=values[table.METRICS_RETAIN_IDLE],
        shutdown_grace_s=values[table.SHUTDOWN_GRACE_PERIOD],
        shutdown_endpoint=values[table.SHUTDOWN_ENDPOINT_ENABLED],
        informational_headers=not values[table.OUTBOUND_DISABLE_INFORMATIONAL_HEADERS],
        inbound_authority_labels=bool(values[table.INBOUND_METRICS_AUTHORITY_LABELS]),
        outbound_tells_names=values[table.OUTBOUND_TELL_NAMES],
        io_uring=values[table.IO_URING],
        busy_wait=values[table.BUSY_WAIT],
        warnings=warnings,
        not_used_yet=not_used_yet,
    )


def _side(values: Values, side: table.SideSettings, *, listen: tuple[SocketAddr, ...]) -> Side:
    return Side(
        listen=listen,
        backlog=values[side.backlog],
        detect_timeout_s=values[side.detect_timeout],
        connect_timeout_s=values[side.connect_timeout],
        connect_backoff=BackoffRange(
            min_s=values[side.backoff_min],
            max_s=values[side.backoff_max],
            jitter=values[side.backoff_jitter],
        ),
        accept_socket=SocketTuning(
            keepalive_s=values[side.accept_keepalive],
            user_timeout_s=values[side.accept_user_timeout],
        ),
        connect_socket=SocketTuning(
            keepalive_s=values[side.connect_keepalive],
            user_timeout_s=values[side.connect_user_timeout],
        ),
        queue_capacity=values[side.queue_capacity],
        failfast_s=values[side.failfast],
        max_in_flight=values[side.max_in_flight],
        half_close_grace_s=values[side.half_close_grace],
        slow_reader_s=values[side.slow_reader],
        http1_idle_s=values[side.http1_idle],
        http1_max_idle=values[side.http1_max_idle],
        discovery_idle_s=values[side.discovery_idle],
        opaque_ports=values[side.opaque_ports],
        http2=_http2(values, side),
    )


def _http2(values: Values, side: table.SideSettings) -> Http2Server:
    stream, connection = values[side.stream_window], values[side.connection_window]
    return Http2Server(
        keepalive_interval_s=values[side.ping_interval],
        keepalive_timeout_s=values[side.ping_timeout],
        max_concurrent_streams=values[side.max_concurrent_streams],
        max_frame_size=values[side.max_frame_size],
        header_list_bytes=values[side.header_list_bytes],
        pending_accept_resets=values[side.pending_accept_resets],
        stream_window=stream or values[table.HTTP2_INITIAL_STREAM_WINDOW_SIZE],
        connection_window=connection or values[table.HTTP2_INITIAL_CONNECTION_WINDOW_SIZE],
    )


def _tap(values: Values) -> TapSettings | None:
    client = values[table.TAP_SVC_NAME]
    if not client or values[table.IDENTITY_DISABLED]:
        return None
    return TapSettings(values[table.CONTROL_LISTEN_ADDR], client)


def _tracing(values: Values, *, otel_attributes: str) -> Tracing | None:
    collector = identity.service(values, table.TRACE_COLLECTOR_SVC_ADDR)
    return collector and Tracing(
        collector,
        service_name=values[table.TRACE_SERVICE_NAME],
        attributes_path=values[table.TRACE_ATTRIBUTES_PATH],
        extra_attributes=values[table.TRACE_EXTRA_ATTRIBUTES],
        otel_attributes=otel_attributes,
    )


def _policy(values: Values) -> PolicyService | None:
    service = identity.service(values, table.POLICY_SVC_ADDR)
    return service and PolicyService(service, workload=values[table.POLICY_WORKLOAD])


def _destination(values: Values) -> Destination:
    token, workload = values[table.DESTINATION_CONTEXT], values[table.POLICY_WORKLOAD]
    namespace = (
        values[table.POD_NAMESPACE]
        or parse.workload_namespace(token)
        or parse.workload_namespace(workload)
    )
    return Destination(
        service=identity.service(values, table.DESTINATION_SVC_ADDR),
        context_token=token,
        namespace=namespace,
        get_suffixes=values[table.DESTINATION_GET_SUFFIXES],
        profile_suffixes=values[table.DESTINATION_PROFILE_SUFFIXES],
        profile_networks=values[table.DESTINATION_PROFILE_NETWORKS],
        profile_initial_timeout_s=values[table.DESTINATION_PROFILE_INITIAL_TIMEOUT],
        streams=StreamLimits(
            initial_s=values[table.CONTROL_STREAM_INITIAL_TIMEOUT],
            idle_s=values[table.CONTROL_STREAM_IDLE_TIMEOUT],
            lifetime_s=values[table.CONTROL_STREAM_LIFETIME],
        ),
    )
