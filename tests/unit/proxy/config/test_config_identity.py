"""Identity and inbound policy in the environment: what must be there, what must agree, what is refused."""

import re

import pytest

from linkerd2_py.proxy.addresses import Authority, parse_network
from linkerd2_py.proxy.config.load import ConfigError, load, load_key_request
from linkerd2_py.proxy.config.types import Identity, InboundPolicy, KeyRequest, Service
from tests.support.certificates import Signer

PREFIX = "LINKERD2_PROXY_"
ANCHOR = Signer().pem.decode()
NAME = "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
OTHER = "voting.emojivoto.serviceaccount.identity.linkerd.cluster.local"
SERVICE = "linkerd-identity.linkerd.serviceaccount.identity.linkerd.cluster.local"
WHOLE = {
    "IDENTITY_SVC_ADDR": "identity.linkerd.svc.cluster.local:8080",
    "IDENTITY_SVC_NAME": SERVICE,
    "IDENTITY_TRUST_ANCHORS": ANCHOR,
    "IDENTITY_DIR": "/var/run/linkerd/identity/end-entity",
    "IDENTITY_TOKEN_FILE": "/var/run/secrets/tokens/linkerd-identity-token",
    "IDENTITY_LOCAL_NAME": NAME,
}
SPLIT = {"IDENTITY_LOCAL_NAME": "", "IDENTITY_SERVER_ID": NAME, "IDENTITY_SERVER_NAME": NAME}


def environ(**variables: str) -> dict[str, str]:
    return {PREFIX + name: text for name, text in {**WHOLE, **variables}.items()}


def identity(**variables: str) -> Identity:
    found = load(environ(**variables)).identity
    assert found is not None
    return found


def rejected(**variables: str) -> dict[str, str]:
    """Names of variables without their prefix, each with what is wrong."""
    with pytest.raises(ConfigError) as caught:
        load(environ(**variables))
    assert str(caught.value).count("\n") == len(caught.value.problems) - 1
    return {one.name.removeprefix(PREFIX): one.reason for one in caught.value.problems}


def policy(**variables: str) -> InboundPolicy:
    return load(environ(**variables)).inbound_policy


def test_an_identity_as_linkerds_injector_writes_it() -> None:
    assert identity() == Identity(
        service=Service(Authority("identity.linkerd.svc.cluster.local", 8080), SERVICE),
        trust_anchors=ANCHOR.encode(),
        directory=WHOLE["IDENTITY_DIR"],
        token_file=WHOLE["IDENTITY_TOKEN_FILE"],
        local_name=NAME,
        min_refresh_s=10.0,
        max_refresh_s=86_400.0,
    )


def test_bounds_of_the_refresh() -> None:
    found = identity(IDENTITY_MIN_REFRESH="500ms", IDENTITY_MAX_REFRESH="1h")
    assert (found.min_refresh_s, found.max_refresh_s) == (0.5, 3600.0)
    wrong = rejected(IDENTITY_MIN_REFRESH="2s", IDENTITY_MAX_REFRESH="1s")
    assert wrong == {
        "IDENTITY_MIN_REFRESH": f"must not be longer than {PREFIX}IDENTITY_MAX_REFRESH"
    }
    assert set(rejected(IDENTITY_MIN_REFRESH="0", IDENTITY_MAX_REFRESH="soon")) == {
        "IDENTITY_MIN_REFRESH",
        "IDENTITY_MAX_REFRESH",
    }


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "[::1]", "localhost.", "LocalHost."])
def test_a_service_on_loopback_needs_no_name(host: str) -> None:
    assert identity(IDENTITY_SVC_ADDR=f"{host}:8080", IDENTITY_SVC_NAME="").service.name == ""


@pytest.mark.parametrize("name", ["DESTINATION", "POLICY"])
def test_each_service_of_the_control_plane_must_prove_who_it_is(name: str) -> None:
    asked = {f"{name}_SVC_ADDR": "10.0.0.1:8086", "POLICY_WORKLOAD": "{}"}
    assert rejected(**asked) == {
        f"{name}_SVC_NAME": "must be set: the identity that answers at 10.0.0.1:8086"
    }
    found = load(environ(**asked, **{f"{name}_SVC_NAME": SERVICE}))
    service = found.destination.service if name == "DESTINATION" else found.policy.service  # type: ignore[union-attr]
    assert service == Service(Authority("10.0.0.1", 8086), SERVICE)
    assert not found.warnings


def test_a_control_plane_in_plain_text_over_a_network_is_one_warning() -> None:
    asked = {"DESTINATION_SVC_ADDR": "10.0.0.1:8086", "DESTINATION_SVC_NAME": SERVICE}
    found = load(environ(**asked, IDENTITY_SVC_ADDR="127.0.0.1:8080", IDENTITY_DISABLED="true"))
    assert found.destination.service == Service(Authority("10.0.0.1", 8086), "")
    assert found.warnings == (
        f"{PREFIX}DESTINATION_SVC_ADDR: 10.0.0.1:8086 is called in plain text, and proves nothing",
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost."])
def test_on_loopback_it_is_plain_text_without_a_warning(host: str) -> None:
    """Beside a controller, too, whose pod is told both its absolute name and its identity."""
    found = load(environ(DESTINATION_SVC_ADDR=f"{host}:8086", DESTINATION_SVC_NAME=SERVICE))
    assert found.destination.service == Service(Authority(host, 8086), "")
    assert not found.warnings


@pytest.mark.parametrize("host", ["localhost", "notlocalhost.", "10.0.0.1", "identity.linkerd"])
def test_any_other_service_does(host: str) -> None:
    wrong = rejected(IDENTITY_SVC_ADDR=f"{host}:8080", IDENTITY_SVC_NAME="")
    assert wrong == {"IDENTITY_SVC_NAME": f"must be set: the identity that answers at {host}:8080"}


@pytest.mark.parametrize(
    "name",
    ["IDENTITY_SVC_ADDR", "IDENTITY_TRUST_ANCHORS", "IDENTITY_DIR", "IDENTITY_TOKEN_FILE", "IDENTITY_LOCAL_NAME"],
)  # fmt: skip
def test_each_missing_variable_is_named(name: str) -> None:
    (wrong,) = rejected(**{name: " "}).items()
    assert wrong[0] == name
    assert wrong[1].startswith("must be set: ")


def test_missing_and_bad_ones_are_named_at_once() -> None:
    wrong = rejected(
        IDENTITY_DIR="", IDENTITY_SVC_ADDR="nowhere", IDENTITY_LOCAL_NAME="", LOG="linkerd=loud"
    )
    assert set(wrong) == {"IDENTITY_DIR", "IDENTITY_SVC_ADDR", "IDENTITY_LOCAL_NAME", "LOG"}
    assert "not host:port" in wrong["IDENTITY_SVC_ADDR"]


def test_nothing_at_all_names_both_ways_out() -> None:
    with pytest.raises(ConfigError) as caught:
        load({})
    assert str(caught.value).splitlines() == [
        f"{PREFIX}IDENTITY_DISABLED: must be set (to anything) for plain text between proxies; for identity, instead:",
        f"{PREFIX}IDENTITY_SVC_ADDR: must be set: host:port of the identity service",
        f"{PREFIX}IDENTITY_TRUST_ANCHORS: must be set: the certificates that are trusted, in PEM",
        f"{PREFIX}IDENTITY_DIR: must be set: the directory where proxy-identity leaves key.p8 and csr.der",
        f"{PREFIX}IDENTITY_TOKEN_FILE: must be set: the file with this workload's token",
        f"{PREFIX}IDENTITY_LOCAL_NAME: must be set: this workload's identity",
    ]


def test_disabled_identity_ignores_all_that_belongs_to_it() -> None:
    found = load(
        environ(IDENTITY_DISABLED="1", IDENTITY_SVC_ADDR="nowhere", IDENTITY_SPIRE_SOCKET="/s")
    )
    assert found.identity is None
    assert found.not_used_yet == ()


def test_the_name_may_come_in_two_variables() -> None:
    assert identity(**SPLIT).local_name == NAME
    assert identity(**{**SPLIT, "IDENTITY_LOCAL_NAME": NAME}).local_name == NAME


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({**SPLIT, "IDENTITY_SERVER_NAME": OTHER}, {"IDENTITY_SERVER_NAME"}),
        ({**SPLIT, "IDENTITY_SERVER_NAME": ""}, {"IDENTITY_SERVER_NAME"}),
        ({**SPLIT, "IDENTITY_SERVER_ID": ""}, {"IDENTITY_SERVER_ID"}),
        ({**SPLIT, "IDENTITY_LOCAL_NAME": OTHER}, {"IDENTITY_SERVER_ID", "IDENTITY_SERVER_NAME"}),
        ({"IDENTITY_SERVER_ID": OTHER}, {"IDENTITY_SERVER_ID"}),
    ],
)
def test_names_that_differ_are_refused(variables: dict[str, str], named: set[str]) -> None:
    wrong = rejected(**variables)
    assert set(wrong) == named
    assert all("equal to LINKERD2_PROXY_IDENTITY_" in reason for reason in wrong.values())


@pytest.mark.parametrize(
    "text", ["Web.ns", "web.ns.", "web..ns", "10.0.0.1", "-web.ns", "*.ns", "web ns", "w" * 64, "wéb", "a." * 127 + "a"]
)  # fmt: skip
@pytest.mark.parametrize("name", ["IDENTITY_LOCAL_NAME", "IDENTITY_SVC_NAME"])
def test_an_identity_is_a_dns_name(name: str, text: str) -> None:
    assert rejected(**{name: text}) == {name: f"{text!r} is not a DNS name in lower case"}


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({**SPLIT, "IDENTITY_SERVER_ID": "spiffe://root.linkerd.cluster.local/web"}, "SPIFFE"),
        ({"IDENTITY_SPIRE_SOCKET": "unix:///s"}, "SPIRE"),
        ({"IDENTITY_SPIRE_WORKLOAD_API_ADDRESS": "unix:///s"}, "SPIRE"),
    ],
)
def test_spire_is_refused(variables: dict[str, str], word: str) -> None:
    (reason,) = rejected(**variables).values()
    assert word in reason
    assert "not available" in reason


def test_trust_anchors_are_any_number_of_certificates() -> None:
    bundle = f"# the öld one\n{ANCHOR}\n# and the new one\n{Signer().pem.decode()}"
    assert identity(IDENTITY_TRUST_ANCHORS=bundle).trust_anchors.count(b"BEGIN") == 2
    assert identity(IDENTITY_TRUST_ANCHORS=ANCHOR.replace("\n", "\r\n")).trust_anchors


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/var/run/ca.crt", "the certificates themselves"),
        (re.sub(r"-----END.*", "", ANCHOR, flags=re.DOTALL), "the certificates themselves"),
        (ANCHOR + ANCHOR[:100], "cut short"),
        (Signer().key_pem.decode(), "not a PRIVATE KEY"),
        (ANCHOR + Signer().key_pem.decode(), "not a PRIVATE KEY"),
        (ANCHOR.replace("M", "?"), "damaged"),
        ("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----", "damaged"),
        ("-----BEGIN CERTIFICATE----------END CERTIFICATE-----", "damaged"),
    ],
)
def test_bad_trust_anchors_are_refused_without_being_repeated(text: str, reason: str) -> None:
    (told,) = rejected(IDENTITY_TRUST_ANCHORS=text).values()
    assert reason in told
    assert len(told) < 100


def test_a_key_is_asked_for_with_less() -> None:
    asked = ("IDENTITY_DIR", "IDENTITY_TRUST_ANCHORS", "IDENTITY_LOCAL_NAME")
    found = load_key_request({PREFIX + name: WHOLE[name] for name in asked} | {PREFIX + "X": "1"})
    assert found == KeyRequest(directory=WHOLE["IDENTITY_DIR"], local_name=NAME)
    assert load_key_request(environ(**SPLIT)).local_name == NAME


def test_what_a_key_lacks_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_key_request({PREFIX + "IDENTITY_TRUST_ANCHORS": "none"})
    assert [one.name.removeprefix(PREFIX) for one in caught.value.problems] == [
        "IDENTITY_TRUST_ANCHORS",
        "IDENTITY_DIR",
        "IDENTITY_LOCAL_NAME",
    ]


def test_by_default_all_are_let_in() -> None:
    found = policy()
    assert found.default == "all-unauthenticated"
    assert found.cluster_networks == tuple(
        map(parse_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"))
    )  # fmt: skip
    assert found.require_identity == found.require_tls == frozenset()


def test_a_policy() -> None:
    found = policy(
        INBOUND_DEFAULT_POLICY="cluster-authenticated",
        POLICY_CLUSTER_NETWORKS="10.1.0.0/16",
        INBOUND_PORTS_REQUIRE_IDENTITY="80,8000-8001",
        INBOUND_PORTS_REQUIRE_TLS="443",
    )
    assert found == InboundPolicy(
        default="cluster-authenticated",
        cluster_networks=(parse_network("10.1.0.0/16"),),
        require_identity=frozenset({80, 8000, 8001}),
        require_tls=frozenset({443}),
    )


def test_no_network_may_be_the_clusters() -> None:
    assert policy(POLICY_CLUSTER_NETWORKS="").cluster_networks == ()


@pytest.mark.parametrize("text", ["allow", "all-tls-unauthenticated", "DENY"])
def test_other_policies_are_refused(text: str) -> None:
    (told,) = rejected(INBOUND_DEFAULT_POLICY=text).values()
    assert "must be all-unauthenticated or" in told


def test_audit_is_one_of_the_policies() -> None:
    assert policy(INBOUND_DEFAULT_POLICY="audit").default == "audit"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("INBOUND_DEFAULT_POLICY", "all-authenticated"),
        ("INBOUND_DEFAULT_POLICY", "cluster-authenticated"),
        ("INBOUND_PORTS_REQUIRE_IDENTITY", "80"),
        ("INBOUND_PORTS_REQUIRE_TLS", "80"),
    ],
)
def test_without_identity_nothing_may_ask_for_one(name: str, text: str) -> None:
    assert load(environ(**{name: text})).identity is not None
    (wrong,) = rejected(**{name: text, "IDENTITY_DISABLED": "1"}).items()
    assert wrong[0] == name
    assert wrong[1].endswith(f"needs identity, but {PREFIX}IDENTITY_DISABLED is set")


@pytest.mark.parametrize("text", ["cluster-unauthenticated", "deny"])
def test_without_identity_addresses_may_decide(text: str) -> None:
    assert policy(IDENTITY_DISABLED="1", INBOUND_DEFAULT_POLICY=text).default == text
