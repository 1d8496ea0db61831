"""Reads the environment into a `Config`, or lists everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import starmap
from typing import Any, NamedTuple

from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.base.names import PROXY_ENV_PREFIX
from linkerd2_py.proxy.addresses import matches_suffix
from linkerd2_py.proxy.config import identity, parse
from linkerd2_py.proxy.config.table import RENAMED, VARIABLES
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
    Side,
    SocketTuning,
    StreamLimits,
)

Values = Mapping[str, Any]


class Problem(NamedTuple):
    """One wrong variable: its full name and why."""

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
    """The configuration in `environ`. ConfigError lists every unknown name and bad value."""
    disabled = is_identity_disabled(environ)
    if disabled:
        environ = {name: text for name, text in environ.items() if not identity.is_ignored(name)}
    values, problems = _read(environ)
    if not disabled:
        problems += _missing(identity.missing, values, problems)
    if not problems:
        problems = _contradictions(values)
    if problems:
        raise ConfigError(tuple(problems))
    return _build(values, not_used_yet=_not_used_yet(environ))


def is_identity_disabled(environ: Mapping[str, str]) -> bool:
    """Whether the proxy of this environment is to have no identity."""
    return bool(environ.get(PROXY_ENV_PREFIX + "IDENTITY_DISABLED", "").strip())


def load_key_request(environ: Mapping[str, str]) -> KeyRequest:
    """The part of `environ` that `proxy-identity` looks at. ConfigError as `load`, about these variables alone."""
    values, problems = _read(
        {full: text for full, text in environ.items() if full in identity.KEY_VARIABLES}
    )
    problems += _missing(identity.missing_for_key, values, problems)
    if problems:
        raise ConfigError(tuple(problems))
    return KeyRequest(directory=values["IDENTITY_DIR"], local_name=identity.local_name(values))


def _read(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    values = {name: variable.default for name, variable in VARIABLES.items()}
    problems = []
    for full in sorted(environ):
        if not full.startswith(PROXY_ENV_PREFIX):
            continue
        name, text = full.removeprefix(PROXY_ENV_PREFIX), environ[full].strip()
        variable = VARIABLES.get(name)
        if variable is None:
            problems.append(Problem(full, _unknown(name)))
        elif text or variable.keeps_empty:
            try:
                values[name] = variable.parse(text)
            except ValueError as error:
                problems.append(Problem(full, str(error)))
    return values, problems


def _unknown(name: str) -> str:
    new = RENAMED.get(name)
    if new is not None:
        return f"was renamed: use {PROXY_ENV_PREFIX}{new}"
    import difflib  # noqa: PLC0415  # only for a process that is about to end

    near = difflib.get_close_matches(name, VARIABLES, n=1)
    hint = f"; did you mean {PROXY_ENV_PREFIX}{near[0]}?" if near else ""
    return f"unknown variable{hint}"


def _contradictions(values: Values) -> list[Problem]:
    """What each value alone cannot show."""
    found = list(starmap(_problem, identity.contradictions(values)))
    for side in ("INBOUND", "OUTBOUND"):
        found += _order(
            values, low=f"{side}_CONNECT_EXP_BACKOFF_MIN", high=f"{side}_CONNECT_EXP_BACKOFF_MAX"
        )
    found += _order(values, low="DNS_MIN_TTL", high="DNS_MAX_TTL")
    found += _order(values, low="IDENTITY_MIN_REFRESH", high="IDENTITY_MAX_REFRESH")
    if values["DESTINATION_SVC_ADDR"] is None:
        found += _needs_destination(values)
    return found


def _missing(
    find: Callable[..., identity.Problems], values: Values, problems: list[Problem]
) -> list[Problem]:
    bad = {problem.name.removeprefix(PROXY_ENV_PREFIX) for problem in problems}
    return list(starmap(_problem, find(values, bad=bad)))


def _order(values: Values, *, low: str, high: str) -> list[Problem]:
    if values[low] is None or values[high] is None or values[low] <= values[high]:
        return []
    return [_problem(low, f"must not be longer than {PROXY_ENV_PREFIX}{high}")]


def _needs_destination(values: Values) -> list[Problem]:
    """A static port of a mesh service would never find an endpoint."""
    suffixes = values["DESTINATION_GET_SUFFIXES"]
    names = [
        static.target.host
        for static in values["OUTBOUND_STATIC_PORTS"]
        if matches_suffix(static.target.host, suffixes=suffixes)
    ]
    if not names:
        return []
    return [_problem("DESTINATION_SVC_ADDR", f"must be set: {names[0]} is a name of the mesh")]


def _problem(name: str, reason: str) -> Problem:
    return Problem(PROXY_ENV_PREFIX + name, reason)


def _not_used_yet(environ: Mapping[str, str]) -> tuple[str, ...]:
    names = (PROXY_ENV_PREFIX + name for name, variable in VARIABLES.items() if not variable.used)
    return tuple(sorted(name for name in names if environ.get(name, "").strip()))


def _build(values: Values, *, not_used_yet: tuple[str, ...]) -> Config:
    outbound_listen = values["OUTBOUND_LISTEN_ADDRS"] or (values["OUTBOUND_LISTEN_ADDR"],)
    return Config(
        outbound=_side(values, name="OUTBOUND", listen=outbound_listen),
        inbound=_side(values, name="INBOUND", listen=(values["INBOUND_LISTEN_ADDR"],)),
        balancing=Balancing(
            penalizes_failures=values["OUTBOUND_PENALIZE_FAILURES"],
            max_retry_after_s=values["OUTBOUND_LOAD_BIASER_MAX_RETRY_AFTER"],
        ),
        outbound_static=values["OUTBOUND_STATIC_PORTS"],
        inbound_static=values["INBOUND_STATIC_PORTS"],
        inbound_ips=values["INBOUND_IPS"],
        inbound_policy=InboundPolicy(
            default=values["INBOUND_DEFAULT_POLICY"],
            cluster_networks=values["POLICY_CLUSTER_NETWORKS"],
            require_identity=values["INBOUND_PORTS_REQUIRE_IDENTITY"],
            require_tls=values["INBOUND_PORTS_REQUIRE_TLS"],
        ),
        identity=identity.build(values),
        admin=AdminSettings(
            listen=values["ADMIN_LISTEN_ADDR"],
            hosts=values["ADMIN_HOSTS"],
            token_file=values["ADMIN_TOKEN_FILE"],
        ),
        destination=_destination(values),
        dns=Dns(
            resolv_conf=values["RESOLV_CONF"],
            min_ttl_s=values["DNS_MIN_TTL"],
            max_ttl_s=values["DNS_MAX_TTL"],
        ),
        logs=Logs(filter_text=values["LOG"], style=values["LOG_FORMAT"]),
        metrics_retain_idle_s=values["METRICS_RETAIN_IDLE"],
        shutdown_grace_s=values["SHUTDOWN_GRACE_PERIOD"],
        shutdown_endpoint=values["SHUTDOWN_ENDPOINT_ENABLED"],
        informational_headers=not values["OUTBOUND_DISABLE_INFORMATIONAL_HEADERS"],
        inbound_authority_labels=bool(values["INBOUND_METRICS_AUTHORITY_LABELS"]),
        io_uring=values["IO_URING"],
        busy_wait=values["BUSY_WAIT"],
        not_used_yet=not_used_yet,
    )


def _side(values: Values, *, name: str, listen: tuple[Any, ...]) -> Side:
    idle_conns = {"INBOUND": "MAX_IDLE_CONNS_PER_ENDPOINT"}.get(
        name, f"{name}_MAX_IDLE_CONNS_PER_ENDPOINT"
    )
    return Side(
        listen=listen,
        backlog=values[f"{name}_TCP_LISTEN_BACKLOG"],
        detect_timeout_s=values[f"{name}_DETECT_TIMEOUT"],
        connect_timeout_s=values[f"{name}_CONNECT_TIMEOUT"],
        connect_backoff=BackoffRange(
            min_s=values[f"{name}_CONNECT_EXP_BACKOFF_MIN"],
            max_s=values[f"{name}_CONNECT_EXP_BACKOFF_MAX"],
            jitter=values[f"{name}_CONNECT_EXP_BACKOFF_JITTER"],
        ),
        accept_socket=_tuning(values, name=f"{name}_ACCEPT"),
        connect_socket=_tuning(values, name=f"{name}_CONNECT"),
        queue_capacity=values[f"{name}_HTTP_QUEUE_CAPACITY"],
        failfast_s=values[f"{name}_HTTP_FAILFAST_TIMEOUT"],
        max_in_flight=values[f"{name}_MAX_IN_FLIGHT"],
        half_close_grace_s=values[f"{name}_HALF_CLOSE_GRACE"],
        slow_reader_s=values[f"{name}_SLOW_READER_TIMEOUT"],
        http1_idle_s=values[f"{name}_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT"],
        http1_max_idle=values[idle_conns],
        discovery_idle_s=values[f"{name}_DISCOVERY_IDLE_TIMEOUT"],
        opaque_ports=values[f"{name}_PORTS_DISABLE_PROTOCOL_DETECTION"],
        http2=_http2(values, name=f"{name}_SERVER_HTTP2"),
    )


def _tuning(values: Values, *, name: str) -> SocketTuning:
    return SocketTuning(
        keepalive_s=values[f"{name}_KEEPALIVE"], user_timeout_s=values[f"{name}_USER_TIMEOUT"]
    )


def _http2(values: Values, *, name: str) -> Http2Server:
    stream = values[f"{name}_INITIAL_STREAM_WINDOW_SIZE"]
    connection = values[f"{name}_INITIAL_CONNECTION_WINDOW_SIZE"]
    return Http2Server(
        keepalive_interval_s=values[f"{name}_KEEP_ALIVE_INTERVAL"],
        keepalive_timeout_s=values[f"{name}_KEEP_ALIVE_TIMEOUT"],
        max_concurrent_streams=values[f"{name}_MAX_CONCURRENT_STREAMS"],
        max_frame_size=values[f"{name}_MAX_FRAME_SIZE"],
        header_list_bytes=values[f"{name}_MAX_HEADER_LIST_SIZE"],
        pending_accept_resets=values[f"{name}_MAX_PENDING_ACCEPT_RESET_STREAMS"],
        stream_window=stream or values["HTTP2_INITIAL_STREAM_WINDOW_SIZE"],
        connection_window=connection or values["HTTP2_INITIAL_CONNECTION_WINDOW_SIZE"],
    )


def _destination(values: Values) -> Destination:
    token, workload = values["DESTINATION_CONTEXT"], values["POLICY_WORKLOAD"]
    namespace = (
        values["POD_NAMESPACE"]
        or parse.workload_namespace(token)
        or parse.workload_namespace(workload)
    )
    return Destination(
        address=values["DESTINATION_SVC_ADDR"],
        context_token=token,
        namespace=namespace,
        get_suffixes=values["DESTINATION_GET_SUFFIXES"],
        profile_suffixes=values["DESTINATION_PROFILE_SUFFIXES"],
        profile_networks=values["DESTINATION_PROFILE_NETWORKS"],
        profile_initial_timeout_s=values["DESTINATION_PROFILE_INITIAL_TIMEOUT"],
        streams=StreamLimits(
            initial_s=values["CONTROL_STREAM_INITIAL_TIMEOUT"],
            idle_s=values["CONTROL_STREAM_IDLE_TIMEOUT"],
            lifetime_s=values["CONTROL_STREAM_LIFETIME"],
        ),
    )
