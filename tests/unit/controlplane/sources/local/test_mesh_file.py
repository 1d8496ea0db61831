"""mesh.yaml: what it means, and that every mistake is named with its line and field."""

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.mesh.balancing import WEIGHT_RULE
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, PortSpec, Workload
from linkerd2_py.controlplane.sources.local import mesh_file
from linkerd2_py.controlplane.sources.local.mesh_file import (
    MOST_BYTES,
    MeshFileError,
    load_mesh_file,
    parse_mesh,
)
from linkerd2_py.controlplane.sources.local.mesh_rules import INBOUND_POLICIES
from linkerd2_py.controlplane.sources.local.mesh_spec import (
    MeshSpec,
    OutboundSpec,
    ReadyCheck,
    ServiceSpec,
)

MESH = """\
namespace: emojivoto
services:
  web-svc: {port: 80, workload: web}
  voting-svc:
    workload: voting
    ports:
      - {name: grpc, port: 8080, targetPort: 9090}
      - {port: 8081}
  chat-svc: {port: 9000, workload: chat, opaque: yes}
workloads:
  web:
    command: [python, -m, sample.web, 1]
    replicas: 2
    env: {LEVEL: 1, EMPTY: ""}
    outbound: [voting-svc, chat-svc:9000]
    ready: {http: 80, path: /healthz}
  voting: {command: [voting], meshed: false, outbound: ["voting-svc:8081"]}
  chat: {command: [chat], ready: {tcp: 9000}, replicas: 0}
"""


WEIGHTLESS = (
    "0",
    "-1",
    "NaN",
    ".inf",
    "1e3",
    "1001",
    "0.0009",
    "4294967295",
    "1.00001",
    "1_0",
    "1,5",
)
ZONE = "must be letters and digits, with -, _ or . between them, 63 at most"
ZONELESS = (
    ("", "''"),
    ("a b", "'a b'"),
    ("-a", "'-a'"),
    ("\\e[31mred", r"'\x1b[31mred'"),
    ("a" * 64, repr("a" * 64)),
    ("zürich", "'zürich'"),
)


def mesh(text: str = MESH) -> MeshSpec:
    return parse_mesh(text, source="mesh.yaml")


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(MeshFileError) as caught:
        mesh(text)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def changed(old: str, new: str) -> str:
    assert MESH.count(old) == 1, old
    return MESH.replace(old, new)


def test_services_have_their_ports() -> None:
    services = mesh().services
    assert services["web-svc"] == ServiceSpec(
        "emojivoto", "web-svc", "web", (PortSpec("", 80, 80),)
    )
    assert services["voting-svc"].ports == (
        PortSpec("grpc", 8080, 9090),
        PortSpec("", 8081, 8081),
    )
    assert services["chat-svc"].ports == (PortSpec("", 9000, 9000, opaque=True),)


@pytest.mark.parametrize("spelling", ["None", '"None"'])
def test_service_without_an_address_is_headless(spelling: str) -> None:
    services = mesh(changed("port: 80,", f"port: 80, clusterIP: {spelling},")).services
    assert services["web-svc"].headless
    assert not services["chat-svc"].headless
    assert services["web-svc"].ips == ()


def test_workloads_have_what_their_processes_need() -> None:
    web = mesh().workloads["web"]
    assert web.command == ("python", "-m", "sample.web", "1")
    assert web.env == {"LEVEL": "1", "EMPTY": ""}
    assert web.ready == ReadyCheck("http", 80, "/healthz")
    assert web.outbound == (
        OutboundSpec("emojivoto", "voting-svc", 8080),
        OutboundSpec("emojivoto", "chat-svc", 9000),
    )
    assert web.outbound[0].authority == "voting-svc.emojivoto.svc.cluster.local:8080"
    assert web.outbound[0].variable == "VOTING_SVC_ADDR"


def test_workloads_know_the_ports_that_services_lead_to() -> None:
    workloads = mesh().workloads
    assert workloads["voting"].target_ports == {9090: False, 8081: False}
    assert workloads["chat"].target_ports == {9000: True}


def test_deployments_are_what_the_mesh_knows() -> None:
    assert mesh().deployments == (
        Workload(DEPLOYMENT, "emojivoto", "web", 2, labels={"app": "web"}),
        Workload(DEPLOYMENT, "emojivoto", "voting", 1, meshed=False, labels={"app": "voting"}),
        Workload(DEPLOYMENT, "emojivoto", "chat", 0, labels={"app": "chat"}),
    )


def test_defaults() -> None:
    spec = mesh("services: {a: {workload: b}}\nworkloads: {b: {command: [c]}}\n")
    assert spec.namespace == "default"
    assert spec.services["a"].ports == (PortSpec("", 80, 80),)
    assert spec.workloads["b"].replicas == 1
    assert spec.workloads["b"].meshed
    assert spec.workloads["b"].ready is None
    assert spec.workloads["b"].service_account == "b"
    assert spec.workloads["b"].default_inbound_policy == ""
    assert spec.workloads["b"].require_identity_ports == ()


@pytest.mark.parametrize(
    ("said", "weights", "zones"),
    [
        ("weight: 2.5", [25_000] * 3, [""] * 3),
        ("weight: [1, 0.001, 1000]", [10_000, 10, 10_000_000], [""] * 3),
        (
            "weight: [1, 3], zone: [a, eu-west-1b]",
            [10_000, 30_000, 10_000],
            ["a", "eu-west-1b", "a"],
        ),
        ("zone: a", [10_000] * 3, ["a"] * 3),
    ],
)
def test_replicas_have_weights_and_zones_in_turn(
    said: str, weights: list[int], zones: list[str]
) -> None:
    web = mesh(
        changed("replicas: 2", f"replicas: 3\n    {said.replace(', zone', chr(10) + '    zone')}")
    )
    spec = web.workloads["web"]
    assert [spec.weight(number) for number in range(3)] == weights
    assert [spec.zone(number) for number in range(3)] == zones


def test_workloads_may_share_a_service_account() -> None:
    workloads = mesh(
        changed("replicas: 2", "serviceAccount: app").replace(
            "{tcp: 9000}", "{tcp: 9000}, serviceAccount: app"
        )
    ).workloads
    accounts = {name: workload.service_account for name, workload in workloads.items()}
    assert accounts == {"web": "app", "voting": "voting", "chat": "app"}


@pytest.mark.parametrize("policy", INBOUND_POLICIES)
def test_workloads_say_whom_they_let_in(policy: str) -> None:
    text = changed("replicas: 2", f"defaultInboundPolicy: {policy}\n    requireIdentityPorts: [80]")
    web = mesh(text).workloads["web"]
    assert (web.default_inbound_policy, web.require_identity_ports) == (policy, (80,))


def test_aliases_are_followed() -> None:
    spec = mesh("workloads: {a: {command: &run [x]}, b: {command: *run}}\n")
    assert spec.workloads["b"].command == ("x",)


LABEL = "must be a DNS label (a-z, 0-9 and -, at most 63, not starting or ending with -)"
WRONG = [
    ("replicas: 2", "replicas: two", "13: workloads.web.replicas: must be a whole number >= 0 and <= 250, not 'two'"),
    ("replicas: 2", "replicas: -1", "13: workloads.web.replicas: must be a whole number >= 0 and <= 250, not '-1'"),
    ("replicas: 2", "replicas: 0x10", "13: workloads.web.replicas: must be a whole number >= 0 and <= 250, not '0x10'"),
    ("replicas: 2", "replicas: '2'", "13: workloads.web.replicas: must be a whole number >= 0 and <= 250, not '2'"),
    ("replicas: 2", "replicas:", "13: workloads.web.replicas: must be a whole number >= 0 and <= 250, not empty"),
    ("replicas: 2", "replicas: [2]", "13: workloads.web.replicas: must be a whole number >= 0 and <= 250, not a list"),
    ("replicas: 2", f"replicas: {'9' * 60}", f"13: workloads.web.replicas: must be a whole number >= 0 and <= 250, not '{'9' * 37}...'"),
    ("replicas: 2", "replica: 2", "13: workloads.web.replica: is not a known field; known are: command, replicas, meshed, env, outbound, ready, serviceAccount, defaultInboundPolicy, requireIdentityPorts, weight, zone"),
    *(("replicas: 2", f"weight: {text}", f"13: workloads.web.weight: {WEIGHT_RULE}, not '{text}'") for text in WEIGHTLESS),
    ("replicas: 2", "weight: [2, 0]", f"13: workloads.web.weight[1]: {WEIGHT_RULE}, not '0'"),
    ("replicas: 2", "weight: []", "13: workloads.web.weight: must not be empty"),
    ("replicas: 2", "weight: {a: 1}", "13: workloads.web.weight: must be text, not a mapping"),
    *(("replicas: 2", f'zone: "{text}"', f"13: workloads.web.zone: {ZONE}, not {shown}") for text, shown in ZONELESS),
    ("replicas: 2", "serviceAccount: Web", f"13: workloads.web.serviceAccount: {LABEL}, not 'Web'"),
    ("replicas: 2", "serviceAccount: a.b", f"13: workloads.web.serviceAccount: {LABEL}, not 'a.b'"),
    ("replicas: 2", "serviceAccount: [a]", "13: workloads.web.serviceAccount: must be text, not a list"),
    ("replicas: 2", "defaultInboundPolicy: allow", f"13: workloads.web.defaultInboundPolicy: must be one of {', '.join(INBOUND_POLICIES)}, not 'allow'"),
    ("replicas: 2", "defaultInboundPolicy: [deny]", f"13: workloads.web.defaultInboundPolicy: must be one of {', '.join(INBOUND_POLICIES)}, not a list"),
    ("replicas: 2", "requireIdentityPorts: 80", "13: workloads.web.requireIdentityPorts: must be a list, not '80'"),
    ("replicas: 2", "requireIdentityPorts: [http]", "13: workloads.web.requireIdentityPorts[0]: must be a whole number >= 1 and <= 65535, not 'http'"),
    ("replicas: 2", "requireIdentityPorts: [80, 80]", "13: workloads.web.requireIdentityPorts[1]: port 80 is listed twice"),
    ("replicas: 2", "requireIdentityPorts: [8080]", "13: workloads.web.requireIdentityPorts[0]: no service leads to port 8080 of workload web; its ports are: 80"),
    ("meshed: false", "meshed: false, defaultInboundPolicy: deny", "17: workloads.voting.defaultInboundPolicy: needs a proxy, but meshed is false"),
    ("meshed: false", "meshed: false, requireIdentityPorts: [9090]", "17: workloads.voting.requireIdentityPorts: needs a proxy, but meshed is false"),
    ("meshed: false", "meshed: 0", "17: workloads.voting.meshed: must be true or false, not '0'"),
    ("port: 80,", "port: 80, clusterIP: 10.0.0.1,", "3: services.web-svc.clusterIP: must be None or left out, not '10.0.0.1'"),
    ("port: 80,", "port: 80, clusterIP: none,", "3: services.web-svc.clusterIP: must be None or left out, not 'none'"),
    ("port: 80,", "port: 80, clusterIP: ~,", "3: services.web-svc.clusterIP: must be None or left out, not '~'"),
    ("port: 80,", "port: 80, clusterIP: ,", "3: services.web-svc.clusterIP: must be None or left out, not empty"),
    ("port: 80,", "port: 80, clusterIP: [None],", "3: services.web-svc.clusterIP: must be None or left out, not a list"),
    ("    workload: voting\n", "    workload: voting\n    clusterIP: 80\n", "6: services.voting-svc.clusterIP: must be None or left out, not '80'"),
    ("port: 80,", "port: 65536,", "3: services.web-svc.port: must be a whole number >= 1 and <= 65535, not '65536'"),
    ("port: 80,", "port: 0,", "3: services.web-svc.port: must be a whole number >= 1 and <= 65535, not '0'"),
    ("workload: web}", "workload: wab}", "3: services.web-svc.workload: there is no workload 'wab'; there are: web, voting, chat"),
    (", workload: web}", "}", "3: services.web-svc.workload: is missing: name a workload"),
    ("{port: 80, workload: web}", "80", "3: services.web-svc: must be a mapping, not '80'"),
    ("    workload: voting\n", "    workload: voting\n    port: 1\n", "6: services.voting-svc.port: goes inside ports when there are ports"),
    ("{port: 8081}", "{port: 8080}", "8: services.voting-svc.ports[1].port: port 8080 is listed twice"),
    ("{port: 8081}", "{port: 8081, name: grpc}", "8: services.voting-svc.ports[1].name: name 'grpc' is listed twice"),
    ("{port: 8081}", "{name: x}", "8: services.voting-svc.ports[1].port: is missing"),
    ("{port: 8081}", "8081", "8: services.voting-svc.ports[1]: must be a mapping, not '8081'"),
    ("{port: 8081}", "{port: 8081, name: X}", f"8: services.voting-svc.ports[1].name: {LABEL}, not 'X'"),
    ("{port: 8081}", "{port: 8081, targetPort: 9090, opaque: true}", "8: services.voting-svc.ports[1].opaque: port 9090 of workload voting cannot be opaque for one service only"),
    ("namespace: emojivoto", "namespace: Emoji_Voto", f"1: namespace: {LABEL}, not 'Emoji_Voto'"),
    ("namespace: emojivoto", "namespace:", '1: namespace: must be text, but is empty (write "" for empty text)'),
    ("namespace: emojivoto", "namespace: [x]", "1: namespace: must be text, not a list"),
    ("  web-svc: {", "  web_svc: {", f"3: services.web_svc: its name {LABEL}"),
    ("[python, -m, sample.web, 1]", "[]", "12: workloads.web.command: must not be empty"),
    ("[python, -m, sample.web, 1]", '[""]', "12: workloads.web.command: must begin with a program"),
    ("[python, -m, sample.web, 1]", "python web.py", "12: workloads.web.command: must be a list, not 'python web.py'"),
    ("[python, -m, sample.web, 1]", '["a\\0b"]', "12: workloads.web.command[0]: must not contain a NUL character"),
    ("[python, -m, sample.web, 1]", "[a, {b: c}]", "12: workloads.web.command[1]: must be text, not a mapping"),
    ("{command: [chat], ", "{", "18: workloads.chat.command: is missing: a list, program first"),
    ("LEVEL: 1", "1LEVEL: 1", "14: workloads.web.env.1LEVEL: its name must be letters, digits and _"),
    ("LEVEL: 1", "LEVEL: ~", '14: workloads.web.env.LEVEL: must be text, but is empty (write "" for empty text)'),
    ("LEVEL: 1", "[a]: 1", "14: workloads.web.env: keys must be plain names"),
    ("LEVEL: 1", "EMPTY: 1", "14: workloads.web.env.EMPTY: is given twice"),
    ("[voting-svc, chat-svc:9000]", "[vote-svc]", "15: workloads.web.outbound[0]: there is no service 'vote-svc'; there are: web-svc, voting-svc, chat-svc"),
    ("chat-svc:9000]", "[chat-svc]]", "15: workloads.web.outbound[1]: must be text, not a list"),
    ("chat-svc:9000]", "chat-svc:9]", "15: workloads.web.outbound[1]: service chat-svc has no port '9'; it has: 9000"),
    ("chat-svc:9000]", "voting-svc:8081]", "15: workloads.web.outbound[1]: service voting-svc is listed twice"),
    ("{http: 80, path: /healthz}", "{path: /}", "16: workloads.web.ready: needs either tcp: PORT or http: PORT"),
    ("{http: 80, path: /healthz}", "{http: 80, tcp: 80}", "16: workloads.web.ready: needs either tcp: PORT or http: PORT"),
    ("{http: 80, path: /healthz}", "{tcp: 80, path: /}", "16: workloads.web.ready.path: belongs to http only"),
    ("path: /healthz", "path: healthz", "16: workloads.web.ready.path: must begin with / and have no spaces"),
    ("path: /healthz", 'path: "/a\\r\\nb"', "16: workloads.web.ready.path: must begin with / and have no spaces"),
    ("{http: 80, path: /healthz}", "80", "16: workloads.web.ready: must be a mapping, not '80'"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_mistake_is_named_with_line_and_field(old: str, new: str, message: str) -> None:
    assert problems(changed(old, new)) == (f"mesh.yaml:{message}",)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader])
@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("[python, -m, sample.web, 1]", '["a\\ud83d"]', 12),
        ("LEVEL: 1", 'LEVEL: "\\ud83d"', 14),
        ("LEVEL: 1", '"a\\ud83d": 1', 14),
    ],
)
def test_half_a_surrogate_pair_is_refused_where_it_is_read(
    monkeypatch: pytest.MonkeyPatch, loader: type, old: str, new: str, line: int
) -> None:
    monkeypatch.setattr(mesh_file, "LOADER", loader)
    (problem,) = problems(changed(old, new))
    assert problem.startswith(f"mesh.yaml:{line}: ")


def test_both_loaders_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    read = mesh()
    monkeypatch.setattr(mesh_file, "LOADER", yaml.SafeLoader)
    assert mesh() == read


def test_all_mistakes_are_reported_in_the_order_of_lines() -> None:
    text = changed("replicas: 2", "replicas: two").replace("port: 80,", "port: x,")
    assert [line.split(": ")[0] for line in problems(text)] == ["mesh.yaml:3", "mesh.yaml:13"]


def test_a_port_of_a_service_that_cannot_be_read_is_no_second_mistake() -> None:
    text = changed("replicas: 2", "requireIdentityPorts: [80]").replace("port: 80,", "port: x,")
    assert [line.split(": ")[0] for line in problems(text)] == ["mesh.yaml:3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mesh.yaml:1: is empty: workloads are needed"),
        ("- a\n", "mesh.yaml:1: must be a mapping with services and workloads"),
        ("a: [\n", "mesh.yaml:2: is not YAML: did not find expected node content"),
        ("a: b\n---\nc: d\n", "mesh.yaml:2: is not YAML: but found another document"),
        ("a: b\nc: \x01\n", "mesh.yaml:2: is not YAML: control characters are not allowed"),
        ("services: {}\n", "mesh.yaml:1: workloads: is missing: nothing would run"),
        ("workloads: 1\n", "mesh.yaml:1: workloads: must be a mapping, not '1'"),
        ("[" * 1_000_000, "mesh.yaml:1: is not YAML: exceeded maximum nesting depth"),
    ],
)
def test_text_that_is_no_mesh_is_refused(text: str, message: str) -> None:
    assert problems(text) == (message,)


def test_a_file_is_named_in_its_messages(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(MESH)
    assert load_mesh_file(path) == mesh()
    path.write_text("workloads: 1\n")
    with pytest.raises(MeshFileError, match=rf"^{path}:1: workloads: must be a mapping"):
        load_mesh_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: b\nc: \xff\n", ":2: is not UTF-8 text"),
        (b"#" * (MOST_BYTES + 1), f": is larger than {MOST_BYTES} bytes"),
    ],
)
def test_unreadable_content_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_bytes(content)
    with pytest.raises(MeshFileError) as caught:
        load_mesh_file(path)
    assert caught.value.problems == (f"{path}{message}",)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    os.mkfifo(path)
    with pytest.raises(MeshFileError, match="cannot be read: it is not a regular file"):
        load_mesh_file(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeshFileError, match="cannot be read: No such file or directory"):
        load_mesh_file(tmp_path / "none.yaml")


@given(st.text(alphabet="abw:{}[],-\n &*!|>'\"~0", max_size=60))
def test_any_text_is_a_mesh_or_a_list_of_mistakes(text: str) -> None:
    try:
        mesh(text)
    except MeshFileError as error:
        assert error.problems  # noqa: PT017
