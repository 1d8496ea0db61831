"""The environment: every default, every rejection, all problems at once."""

import pytest

from linkerd2_py.proxy.addresses import Authority, Network, SocketAddr
from linkerd2_py.proxy.config.load import ConfigError, load
from linkerd2_py.proxy.config.table import RENAMED, SETTINGS
from linkerd2_py.proxy.config.types import (
    Config,
    PolicyService,
    Service,
    StaticInbound,
    StaticOutbound,
)

PREFIX = "LINKERD2_PROXY_"


def config(**variables: str) -> Config:
    environ = {"IDENTITY_DISABLED": "1", **variables}
    return load({PREFIX + name: value for name, value in environ.items()})


def rejected(**variables: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config(**variables)
    return str(caught.value).splitlines()


def test_defaults_are_linkerds() -> None:
    found = config()
    assert found.outbound.listen == (SocketAddr("127.0.0.1", 4140),)
    assert found.inbound.listen == (SocketAddr("0.0.0.0", 4143),)
    assert found.admin.listen == SocketAddr("127.0.0.1", 4191)
    assert (found.outbound.connect_timeout_s, found.inbound.connect_timeout_s) == (1.0, 0.3)
    assert (found.outbound.failfast_s, found.inbound.failfast_s) == (3.0, 1.0)
    assert (found.outbound.discovery_idle_s, found.inbound.discovery_idle_s) == (5.0, 90.0)
    assert found.outbound.connect_backoff.max_s == 60.0
    assert found.inbound.connect_backoff.max_s == 10.0
    assert found.outbound.detect_timeout_s == 10.0
    assert found.outbound.queue_capacity == 10_000
    assert found.outbound.max_in_flight == 100_000
    assert found.outbound.http1_idle_s == 3.0
    assert found.outbound.http2.stream_window == 65_535
    assert found.outbound.http2.connection_window == 1_048_576
    assert found.destination.get_suffixes == ("svc.cluster.local",)
    assert found.destination.profile_initial_timeout_s == 0.5
    assert found.shutdown_grace_s == 120.0
    assert found.metrics_retain_idle_s == 600.0
    assert not found.shutdown_endpoint
    assert found.informational_headers


def test_other_variables_of_the_environment_do_not_matter() -> None:
    load({"PATH": "/bin", "LINKERD2": "x", PREFIX + "IDENTITY_DISABLED": "1"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("250ms", 0.25),
        ("3s", 3.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("365d", 31_536_000.0),
    ],
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert config(SHUTDOWN_GRACE_PERIOD=text).shutdown_grace_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["10", "1.5s", "-1s", "s", "1 s", "1S", "1us", "٣s", "999999999999d"]
)
def test_a_duration_without_sense_is_refused(text: str) -> None:
    (line,) = rejected(SHUTDOWN_GRACE_PERIOD=text)
    assert line.startswith("LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD: ")


def test_a_timeout_of_zero_is_refused_where_it_would_fail_everything() -> None:
    assert "longer than zero" in rejected(OUTBOUND_CONNECT_TIMEOUT="0")[0]


def test_an_empty_value_counts_as_unset() -> None:
    assert config(OUTBOUND_DETECT_TIMEOUT="").outbound.detect_timeout_s == 10.0


def test_an_empty_list_means_none() -> None:
    found = config(DESTINATION_GET_SUFFIXES="", DESTINATION_PROFILE_SUFFIXES="")
    assert found.destination.get_suffixes == ()


def test_all_problems_are_listed_at_once() -> None:
    lines = rejected(INBOUND_LISTEN_ADDR="nonsense", OUTBOUND_DETECT_TIMEOUT="7", NO_SUCH="1")
    assert [line.split(":")[0] for line in lines] == [
        "LINKERD2_PROXY_INBOUND_LISTEN_ADDR",
        "LINKERD2_PROXY_OUTBOUND_DETECT_TIMEOUT",
        "LINKERD2_PROXY_NO_SUCH",
    ]


def test_an_unknown_name_is_one_warning_with_the_nearest_known_one() -> None:
    assert config(OUTBOUND_LISTEN_ADR="x", ZZZ="").warnings == (
        f"{PREFIX}OUTBOUND_LISTEN_ADR: unknown variable; did you mean {PREFIX}OUTBOUND_LISTEN_ADDR?",
        f"{PREFIX}ZZZ: unknown variable",
    )


def test_an_environment_without_such_names_warns_of_nothing() -> None:
    assert config(LOG="warn", CORES="2").warnings == ()


@pytest.mark.parametrize("old", sorted(RENAMED))
def test_a_name_of_2018_is_answered_with_todays(old: str) -> None:
    (line,) = rejected(**{old: "tcp://127.0.0.1:1"})
    assert line == f"{PREFIX}{old}: was renamed: use {RENAMED[old].variable}"
    assert RENAMED[old] in SETTINGS.values()


@pytest.mark.parametrize(
    "value", ["4140", "localhost:4140", "127.0.0.1", "127.0.0.1:70000", "::1:4140", "127.0.0.1:+1"]
)
def test_a_listen_address_is_ip_and_port(value: str) -> None:
    rejected(OUTBOUND_LISTEN_ADDR=value)


def test_two_outbound_listeners_for_both_families() -> None:
    found = config(OUTBOUND_LISTEN_ADDRS="127.0.0.1:0,[::1]:0")
    assert found.outbound.listen == (SocketAddr("127.0.0.1", 0), SocketAddr("::1", 0))
    rejected(OUTBOUND_LISTEN_ADDRS="127.0.0.1:1,127.0.0.1:2,127.0.0.1:3")


def test_static_ports() -> None:
    found = config(
        OUTBOUND_STATIC_PORTS="127.0.0.2:31001=Web-svc.ns.svc.cluster.local:80, [::1]:0=10.0.0.1:443",
        INBOUND_STATIC_PORTS="127.0.1.2:8080=127.0.1.2:40123/opaque,127.0.1.2:0=127.0.1.2:1/http",
        DESTINATION_SVC_ADDR="127.0.0.1:8086",
    )
    assert found.outbound_static == (
        StaticOutbound(
            SocketAddr("127.0.0.2", 31001), Authority("web-svc.ns.svc.cluster.local", 80)
        ),
        StaticOutbound(SocketAddr("::1", 0), Authority("10.0.0.1", 443)),
    )
    assert found.inbound_static == (
        StaticInbound(SocketAddr("127.0.1.2", 8080), SocketAddr("127.0.1.2", 40123), opaque=True),
        StaticInbound(
            SocketAddr("127.0.1.2", 0), SocketAddr("127.0.1.2", 1), opaque=False, http=True
        ),
    )


@pytest.mark.parametrize(
    "value",
    ["127.0.0.2:1", "127.0.0.2:1=web", "127.0.0.2:1=web:0", "web:1=web:1", "127.0.0.2:1=a b:1"],
)
def test_a_bad_static_outbound_port_is_refused(value: str) -> None:
    rejected(OUTBOUND_STATIC_PORTS=value)


@pytest.mark.parametrize(
    "value",
    ["127.0.0.2:1", "127.0.0.2:1=127.0.0.2:0", "127.0.0.2:1=127.0.0.2:2/tls", "127.0.0.2:1=web:2"],
)
def test_a_bad_static_inbound_port_is_refused(value: str) -> None:
    rejected(INBOUND_STATIC_PORTS=value)


def test_a_static_port_of_the_mesh_needs_the_destination_service() -> None:
    (line,) = rejected(OUTBOUND_STATIC_PORTS="127.0.0.1:0=web.ns.svc.cluster.local:80")
    assert line.startswith("LINKERD2_PROXY_DESTINATION_SVC_ADDR: must be set")


def test_ports_and_ranges() -> None:
    found = config(INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION="25, 6000-6002")
    assert found.inbound.opaque_ports == {25, 6000, 6001, 6002}


@pytest.mark.parametrize("value", ["0", "65536", "10-5", "a", "1-", "1-2-3"])
def test_bad_ports_are_refused(value: str) -> None:
    rejected(INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION=value)


def test_networks() -> None:
    found = config(DESTINATION_PROFILE_NETWORKS="10.0.0.0/8,fd00::/8,127.0.0.1")
    assert found.destination.profile_networks == (
        Network(bytes([10, 0, 0, 0]), 8),
        Network(b"\xfd" + bytes(15), 8),
        Network(bytes([127, 0, 0, 1]), 32),
    )


@pytest.mark.parametrize("value", ["10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "x/8", "10.0.0.0/-1"])
def test_bad_networks_are_refused(value: str) -> None:
    rejected(DESTINATION_PROFILE_NETWORKS=value)


MISSED = [
    ("INBOUND_GATEWAY_SUFFIXES", "svc.cluster.local.", "it is no gateway"),
    ("INGRESS_MODE", "true", "whatever l5d-dst-override says"),
]


@pytest.mark.parametrize(("name", "value", "instead"), MISSED)
def test_what_is_asked_for_and_not_there_yet_is_one_warning(
    name: str, value: str, instead: str
) -> None:
    found = config(**{name: value})
    (line,) = found.warnings
    assert line.startswith(f"{PREFIX}{name}: not used yet: ")
    assert instead in line
    assert found.not_used_yet == ()


def test_no_such_setting_is_forgotten() -> None:
    missed = {name for name, one in SETTINGS.items() if one.fate == "missed"}
    assert {name for name, *_ in MISSED} == missed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INGRESS_MODE", "false"),
        ("ACCESS_LOG", ""),
        ("POLICY_SVC_ADDR", ""),
        ("INBOUND_GATEWAY_SUFFIXES", ""),
    ],
)
def test_who_asks_for_nothing_is_not_warned(name: str, value: str) -> None:
    assert config(**{name: value}).warnings == ()


@pytest.mark.parametrize("policy", ["all-unauthenticated", "cluster-unauthenticated", "deny"])
def test_a_policy_controller_changes_no_default_policy(policy: str) -> None:
    asked = {"POLICY_SVC_ADDR": "127.0.0.1:8090", "POLICY_WORKLOAD": "{}"}
    found = config(**asked, INBOUND_DEFAULT_POLICY=policy)
    assert found.inbound_policy.default == policy
    assert found.policy == PolicyService(Service(Authority("127.0.0.1", 8090), ""), "{}")
    assert config().policy is None


def test_a_policy_controller_must_know_who_asks() -> None:
    (line,) = rejected(POLICY_SVC_ADDR="127.0.0.1:8090")
    assert line.startswith(f"{PREFIX}POLICY_WORKLOAD: must be set")


def test_variables_that_nobody_would_miss_are_named() -> None:
    found = config(CORES_MIN="2", CORES="2", LOG="warn")
    assert found.not_used_yet == (PREFIX + "CORES", PREFIX + "CORES_MIN")
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("variables", "namespace"),
    [
        ({"DESTINATION_CONTEXT": '{"ns":"emojivoto","pod":"web-0"}'}, "emojivoto"),
        ({"DESTINATION_CONTEXT": "ns:old"}, "old"),
        ({"POLICY_WORKLOAD": "ns:pod"}, "pod"),
        ({"POLICY_WORKLOAD": '{"ns":"a","pod":"b"}', "POD_NAMESPACE": "c"}, "c"),
        ({"DESTINATION_CONTEXT": "token", "POLICY_WORKLOAD": "[]"}, ""),
        ({"DESTINATION_CONTEXT": '{"ns":1}'}, ""),
    ],
)
def test_the_namespace_comes_from_the_workload(variables: dict[str, str], namespace: str) -> None:
    assert config(**variables).destination.namespace == namespace


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("INBOUND_CONNECT_EXP_BACKOFF_MIN", "INBOUND_CONNECT_EXP_BACKOFF_MAX"),
        ("DNS_MIN_TTL", "DNS_MAX_TTL"),
    ],
)
def test_a_range_must_rise(low: str, high: str) -> None:
    (line,) = rejected(**{low: "2s", high: "1s"})
    assert line == f"{PREFIX}{low}: must not be longer than {PREFIX}{high}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG", "linkerd=loud"),
        ("LOG_FORMAT", "xml"),
        ("OUTBOUND_CONNECT_EXP_BACKOFF_JITTER", "1.5"),
        ("OUTBOUND_CONNECT_EXP_BACKOFF_JITTER", "x"),
        ("OUTBOUND_HTTP_QUEUE_CAPACITY", "0"),
        ("OUTBOUND_HTTP_QUEUE_CAPACITY", "many"),
        ("SHUTDOWN_ENDPOINT_ENABLED", "perhaps"),
        ("INGRESS_MODE", "perhaps"),
        ("ACCESS_LOG", "common"),
        ("POLICY_SVC_ADDR", "policy"),
        ("TRACE_COLLECTOR_SVC_ADDR", "collector:0"),
        ("TRACE_COLLECTOR_SVC_NAME", "The Collector"),
        ("TRACE_PROTOCOL", "opencensus"),
        ("INBOUND_GATEWAY_SUFFIXES", "a..b"),
        ("DESTINATION_SVC_NAME", "Linkerd Destination"),
        ("TAP_SVC_NAME", "tap viz"),
        ("OUTBOUND_PENALIZE_FAILURES", "sometimes"),
        ("INBOUND_HALF_CLOSE_GRACE", "0"),
        ("INBOUND_SLOW_READER_TIMEOUT", "2h"),
        ("OUTBOUND_LOAD_BIASER_MAX_RETRY_AFTER", "300"),
        ("HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", "1"),
        ("INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL", "0"),
        ("INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT", "61m"),
        ("INBOUND_IPS", "localhost"),
        ("DESTINATION_SVC_ADDR", "dst:0"),
        ("DESTINATION_SVC_ADDR", "-dst:1"),
        ("DESTINATION_GET_SUFFIXES", "a..b"),
    ],
)
def test_bad_values_name_their_variable(name: str, value: str) -> None:
    assert rejected(**{name: value})[0].startswith(f"{PREFIX}{name}: ")


def test_who_collects_spans_and_what_they_say_of_their_proxy() -> None:
    assert config(TRACE_SERVICE_NAME="web").tracing is None
    variables = {
        "IDENTITY_DISABLED": "1",
        "TRACE_COLLECTOR_SVC_ADDR": "127.0.0.1:4317",
        "TRACE_SERVICE_NAME": "web",
        "TRACE_ATTRIBUTES_PATH": "/labels",
        "TRACE_EXTRA_ATTRIBUTES": "a=b\nc=d",
    }
    prefixed = {PREFIX + name: value for name, value in variables.items()}
    found = load({**prefixed, "OTEL_RESOURCE_ATTRIBUTES": "e=f,g=h"}).tracing
    assert found is not None
    assert str(found.collector.address) == "127.0.0.1:4317"
    assert found.collector.name == ""
    assert found[1:] == ("web", "/labels", "a=b\nc=d", "e=f,g=h")


def test_switches_and_formats() -> None:
    found = config(
        SHUTDOWN_ENDPOINT_ENABLED="true",
        LOG_FORMAT="json",
        ACCESS_LOG="Apache",
        OUTBOUND_DISABLE_INFORMATIONAL_HEADERS="1",
    )
    assert found.shutdown_endpoint
    assert found.logs.style == "json"
    assert found.logs.access == "apache"
    assert config().logs.access == ""
    assert not found.informational_headers
    assert config(INBOUND_IPS="127.0.0.1,::ffff:10.0.0.1").inbound_ips == {
        bytes([127, 0, 0, 1]),
        bytes([10, 0, 0, 1]),
    }
