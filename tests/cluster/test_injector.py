"""A real API server asks our injector before it makes pods and services. Nothing runs them here: they are pending."""

from __future__ import annotations

import base64
import itertools
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.charts.values import defaults
from linkerd2_py.cli.main import run
from linkerd2_py.controlplane.injector.certificates import WebhookCertificate, make_certificate
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import START_S, Controller
from tests.support.cluster.kubectl import Kubectl
from tests.support.wait import eventually

# The first of them waits until the API server has started.
pytestmark = pytest.mark.timeout(300)

HOST = "localhost"
ASKED = "asks-the-injector"
ANCHORS = make_certificate("root.linkerd.cluster.local", now=SystemClock().wall()).certificate
ENABLED = {"linkerd.io/inject": "enabled"}
CONFIG = "config.linkerd.io/"
NUMBERS = itertools.count()


class Injector:
    """The process, with the files that are mounted for it in a cluster."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        self.kubectl = Kubectl(control_plane.kubeconfig)
        self.folder = folder
        for name in ("tls", "config", "roots", "logs"):
            (folder / name).mkdir()
        (folder / "config" / "values").write_text(yaml.safe_dump(defaults()))
        (folder / "roots" / "ca-bundle.crt").write_text(ANCHORS)
        self.certificate = make_certificate(HOST, now=SystemClock().wall())
        self.write(self.certificate)
        self.running = self.start()

    def start(self, port: int = 0) -> Controller:
        words = (
            *("--kubeconfig", self.kubectl.kubeconfig, "--tls", self.folder / "tls"),
            *("--config", self.folder / "config", "--trust-roots", self.folder / "roots"),
        )
        return Controller("injector", *words, folder=self.folder / "logs", port=port)

    @property
    def port(self) -> int:
        found = self.running.child.wait_for_line(
            r"proxy-injector listens on \S+:(\d+)", deadline_s=START_S
        )
        return int(found.group(1))

    def write(self, certificate: WebhookCertificate) -> None:
        (self.folder / "tls" / "tls.key").write_text(certificate.key)
        (self.folder / "tls" / "tls.crt").write_text(certificate.certificate)

    def configure(self, *, bundle: str, policy: str = "Fail") -> None:
        """Whom the API server asks, about namespaces with a label of these tests."""
        webhook = {
            "name": "linkerd-proxy-injector.linkerd.io",
            "clientConfig": {
                "url": f"https://{HOST}:{self.port}/",
                "caBundle": base64.b64encode(bundle.encode()).decode(),
            },
            "namespaceSelector": {"matchLabels": {ASKED: "yes"}},
            "failurePolicy": policy,
            "admissionReviewVersions": ["v1", "v1beta1"],
            "sideEffects": "NoneOnDryRun",
            "rules": [
                {
                    "operations": ["CREATE"],
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "resources": ["pods", "services"],
                    "scope": "Namespaced",
                }
            ],
        }
        self.kubectl.apply(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": "linkerd-proxy-injector-webhook-config"},
                "webhooks": [webhook],
            }
        )

    def namespace(self, annotations: Mapping[str, str]) -> str:
        """A new one, with an account for its pods."""
        name = f"injected-{next(NUMBERS)}"
        self.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {ASKED: "yes"}, "annotations": annotations},
            },
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": name},
            },
        )
        return name

    def made(self, found: dict[str, Any]) -> dict[str, Any]:
        """The object as the API server took it."""
        words = ("create", "--output=json", "--filename=-")
        taken: dict[str, Any] = json.loads(self.kubectl(*words, stdin=json.dumps(found)))
        return taken

    def refused(self, found: dict[str, Any]) -> str:
        """What the API server said; nothing where it took the object."""
        done = self.kubectl.try_("create", "--filename=-", stdin=json.dumps(found))
        return done.stderr if done.returncode else ""

    def is_asked(self) -> bool:
        """It takes a moment until a configuration is known everywhere."""
        probe = pod("probe", namespace=self.namespace(ENABLED))
        done = self.kubectl.try_(
            "create", "--dry-run=server", "--output=json", "-f-", stdin=json.dumps(probe)
        )
        return done.returncode == 0 and "linkerd-proxy" in done.stdout


def pod(
    name: str, *, namespace: str, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
        "spec": {
            "containers": [
                {"name": "app", "image": "app", "ports": [{"containerPort": 80, "name": "http"}]}
            ]
        },
    }


def names(found: dict[str, Any], where: str) -> list[str]:
    return [one["name"] for one in found["spec"].get(where, [])]


@pytest.fixture(scope="module")
def injector(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Injector]:
    """It is ready, and asked."""
    injector = Injector(control_plane, tmp_path_factory.mktemp("injector"))
    try:
        injector.running.wait_ready()
        injector.configure(bundle=injector.certificate.bundle)
        eventually(injector.is_asked, deadline_s=START_S)
        yield injector
    finally:
        injector.kubectl(
            "delete", "mutatingwebhookconfigurations", "linkerd-proxy-injector-webhook-config"
        )
        assert injector.running.stop() == 0
        injector.running.child.kill()


def test_pods_of_a_deployment_get_a_proxy_and_the_deployment_an_event(injector: Injector) -> None:
    namespace = injector.namespace({**ENABLED, f"{CONFIG}proxy-log-level": "debug"})
    template = pod("", namespace=namespace)
    injector.kubectl.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": template["spec"],
                },
            },
        }
    )

    def pods() -> list[dict[str, Any]]:
        words = ("get", "pods", f"--namespace={namespace}", "--output=json")
        found: list[dict[str, Any]] = json.loads(injector.kubectl(*words))["items"]
        return found

    eventually(lambda: len(pods()) == 2, deadline_s=START_S)
    for one in pods():
        assert names(one, "initContainers") == ["linkerd-init", "linkerd-proxy"]
        assert names(one, "containers") == ["app"]
        assert one["spec"]["initContainers"][1]["restartPolicy"] == "Always"
        assert one["metadata"]["labels"]["linkerd.io/proxy-deployment"] == "web"
        assert one["metadata"]["labels"]["linkerd.io/workload-ns"] == namespace
        assert one["metadata"]["annotations"][f"{CONFIG}proxy-log-level"] == "debug"

    def events() -> dict[str, Any]:
        words = ("get", "events", f"--namespace={namespace}", "--output=json")
        found = json.loads(injector.kubectl(*words))["items"]
        ours = [one for one in found if one["source"].get("component") == "linkerd-proxy-injector"]
        return ours[0] if ours else {}

    # Two pods of one owner are one event, counted.
    eventually(lambda: events().get("count") == 2, deadline_s=START_S)
    assert events()["reason"] == "Injected"
    assert events()["message"] == "Linkerd sidecar proxy injected"
    about = events()["involvedObject"]
    assert (about["kind"], about["name"]) == ("Deployment", "web")

    _, counted = injector.running.ask("/metrics")
    labels = f'annotation_at="namespace",namespace="{namespace}",owner_kind="deployment"'
    assert f"proxy_inject_admission_requests_total{{{labels}}} 2.0" in counted
    assert (
        f'proxy_inject_admission_responses_total{{{labels},skip="false",skip_reason=""}} 2.0'
        in counted
    )


@pytest.mark.parametrize(
    ("values", "init", "containers"),
    [
        (
            {f"{CONFIG}proxy-enable-native-sidecar": "false"},
            ["linkerd-init"],
            ["linkerd-proxy", "app"],
        ),
        (
            {f"{CONFIG}proxy-enable-native-sidecar": "false", f"{CONFIG}proxy-await": "disabled"},
            ["linkerd-init"],
            ["app", "linkerd-proxy"],
        ),
        (
            {f"{CONFIG}enable-debug-sidecar": "true", f"{CONFIG}debug-image": "busybox"},
            ["linkerd-init", "linkerd-proxy"],
            ["app", "linkerd-debug"],
        ),
        ({"linkerd.io/inject": "ingress"}, ["linkerd-init", "linkerd-proxy"], ["app"]),
        ({"linkerd.io/inject": "disabled"}, [], ["app"]),
    ],
)
def test_annotations_of_a_pod(
    injector: Injector, values: dict[str, str], init: list[str], containers: list[str]
) -> None:
    namespace = injector.namespace(ENABLED)
    made = injector.made(pod("one", namespace=namespace, annotations=values))
    assert names(made, "initContainers") == init
    assert names(made, "containers") == containers


def test_every_known_annotation_at_once_is_taken_by_the_api_server(injector: Injector) -> None:
    said = {
        "proxy-image": "registry.example/proxy",
        "proxy-version": "v1",
        "image-pull-policy": "Always",
        "control-port": "5190",
        "inbound-port": "5143",
        "admin-port": "5191",
        "outbound-port": "5140",
        "pod-inbound-ports": "80,81",
        "proxy-admin-shutdown": "enabled",
        "proxy-log-level": "trace",
        "proxy-log-http-headers": "insecure",
        "proxy-log-format": "json",
        "proxy-require-identity-inbound-ports": "80",
        "proxy-metrics-hostname-labels": "true",
        "proxy-outbound-connect-timeout": "2s",
        "proxy-inbound-connect-timeout": "1s",
        "proxy-outbound-discovery-cache-unused-timeout": "50s",
        "proxy-inbound-discovery-cache-unused-timeout": "51s",
        "proxy-disable-outbound-protocol-detect-timeout": "true",
        "proxy-disable-inbound-protocol-detect-timeout": "true",
        "shutdown-grace-period": "1m",
        "enable-gateway": "true",
        "proxy-cpu-request": "100m",
        "proxy-cpu-limit": "1500m",
        "proxy-cpu-ratio-limit": "0.5",
        "proxy-memory-request": "64Mi",
        "proxy-memory-limit": "128Mi",
        "proxy-ephemeral-storage-request": "1Mi",
        "proxy-ephemeral-storage-limit": "2Mi",
        "proxy-uid": "3000",
        "proxy-gid": "3001",
        "enable-external-profiles": "true",
        "skip-inbound-ports": "22,1000-2000",
        "skip-outbound-ports": "3306",
        "skip-subnets": "10.0.0.0/8",
        "opaque-ports": "http,9000-9010",
        "default-inbound-policy": "all-authenticated",
        "access-log": "apache",
        "proxy-additional-env": '[{"name": "MORE", "value": "yes"}]',
    }
    namespace = injector.namespace(ENABLED)
    annotations = {f"{CONFIG}{name}": value for name, value in said.items()}
    made = injector.made(pod("one", namespace=namespace, annotations=annotations))
    proxy = made["spec"]["initContainers"][1]
    environment = {one["name"]: one.get("value") for one in proxy["env"]}
    assert environment["MORE"] == "yes"
    assert environment["LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION"] == "80,9000-9010"
    assert environment["LINKERD2_PROXY_CORES_MAX"] == "2"
    assert proxy["image"] == "registry.example/proxy:v1"
    assert proxy["securityContext"]["runAsGroup"] == 3001


def test_namespaces_and_pods_that_are_left_alone(injector: Injector) -> None:
    silent = injector.namespace({})
    assert names(injector.made(pod("one", namespace=silent)), "initContainers") == []
    asks = injector.made(pod("two", namespace=silent, annotations=ENABLED))
    assert names(asks, "initContainers") == ["linkerd-init", "linkerd-proxy"]
    namespace = injector.namespace(ENABLED)
    on_host = pod("three", namespace=namespace)
    on_host["spec"]["hostNetwork"] = True
    assert names(injector.made(on_host), "initContainers") == []
    # What is made in the name of an owner tells it why.
    words = ("get", "events", f"--namespace={namespace}", "--output=jsonpath={.items[*].message}")
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", "namespace": namespace},
        "spec": {"template": {"spec": {**on_host["spec"], "restartPolicy": "Never"}}},
    }
    injector.kubectl.apply(job)
    news = "Linkerd sidecar proxy injection skipped: hostNetwork is enabled"
    eventually(lambda: news in injector.kubectl(*words), deadline_s=START_S)


def test_services_and_pods_without_proxy_tell_their_opaque_ports(injector: Injector) -> None:
    namespace = injector.namespace({})
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "db", "namespace": namespace},
        "spec": {"ports": [{"name": "sql", "port": 3306}, {"name": "web", "port": 80}]},
    }
    assert injector.made(service)["metadata"]["annotations"] == {f"{CONFIG}opaque-ports": "3306"}
    said = injector.namespace({f"{CONFIG}opaque-ports": "1,2"})
    inherited = {**service, "metadata": {"name": "db", "namespace": said}}
    assert injector.made(inherited)["metadata"]["annotations"] == {f"{CONFIG}opaque-ports": "1,2"}
    database = pod("db", namespace=namespace)
    database["spec"]["containers"][0]["ports"] = [{"containerPort": 6379}]
    made = injector.made(database)
    assert made["metadata"]["annotations"] == {f"{CONFIG}opaque-ports": "6379"}


def test_what_no_proxy_can_start_with_is_refused_by_its_name(injector: Injector) -> None:
    namespace = injector.namespace(ENABLED)
    said = {f"{CONFIG}proxy-log-http-headers": "all"}
    refused = injector.refused(pod("one", namespace=namespace, annotations=said))
    assert "denied the request: logHTTPHeaders must be one of: insecure | off" in refused
    env = {f"{CONFIG}proxy-additional-env": '[{"name": "A", "value": {"deep": 1}}]'}
    assert "env" in injector.refused(pod("two", namespace=namespace, annotations=env))


def test_a_new_certificate_under_load_fails_no_call(injector: Injector) -> None:
    """Old and new are both trusted before the files change; nothing is started again."""
    namespace = injector.namespace(ENABLED)
    new = make_certificate(HOST, now=SystemClock().wall(), before=injector.certificate.bundle)
    numbers, made = itertools.count(), []
    enough = threading.Event()

    def make_some() -> None:
        while not enough.is_set():
            one = injector.made(pod(f"pod-{next(numbers)}", namespace=namespace))
            made.append(names(one, "initContainers"))

    with ThreadPoolExecutor(2) as pool:
        under_load = [pool.submit(make_some) for _ in range(2)]
        try:
            injector.configure(bundle=new.bundle)
            injector.write(new)
            in_use = r"tls\.crt is in use now"
            injector.running.child.wait_for_line(in_use, deadline_s=START_S)
            before = len(made)
            # Made over new connections, too: the API server keeps none of those of before for long.
            eventually(lambda: len(made) > before + 4, deadline_s=START_S)
        finally:
            enough.set()
        for one in under_load:
            one.result()
    assert all(one == ["linkerd-init", "linkerd-proxy"] for one in made)
    injector.certificate = new
    injector.configure(bundle=new.certificate)
    eventually(injector.is_asked, deadline_s=START_S)


def test_the_failure_policy_holds_while_nobody_answers(injector: Injector) -> None:
    namespace = injector.namespace(ENABLED)
    port = injector.port
    assert injector.running.stop() == 0
    refused = injector.refused(pod("refused", namespace=namespace))
    assert 'failed calling webhook "linkerd-proxy-injector.linkerd.io"' in refused
    injector.configure(bundle=injector.certificate.bundle, policy="Ignore")

    def is_taken() -> bool:
        return not injector.refused(pod("taken", namespace=namespace))

    eventually(is_taken, deadline_s=START_S)
    injector.running = injector.start(port)
    injector.running.wait_ready()
    injector.configure(bundle=injector.certificate.bundle)
    eventually(injector.is_asked, deadline_s=START_S)


def test_inject_by_hand_goes_by_the_values_and_anchors_of_the_cluster(
    injector: Injector, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    namespace = injector.namespace({})
    values = {"proxy": {"logLevel": "trace"}, "identityTrustAnchorsPEM": "of the installation"}
    maps = {
        "linkerd-config": {"values": yaml.safe_dump(values)},
        "linkerd-identity-trust-roots": {"ca-bundle.crt": ANCHORS},
    }
    manifest = tmp_path / "pod.json"
    manifest.write_text(json.dumps(pod("by-hand", namespace=namespace)))
    words = [
        *("inject", "--manual", str(manifest), "--linkerd-namespace", namespace),
        *("--kubeconfig", str(injector.kubectl.kubeconfig)),
    ]
    assert run(words) == 1
    told = capfd.readouterr()
    assert told.out == ""
    assert f"there is no control plane in namespace {namespace}" in told.err

    for name, data in maps.items():
        about = {"name": name, "namespace": namespace}
        injector.kubectl.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data}
        )
    assert run(words) == 0
    told = capfd.readouterr()
    assert told.err == '\npod "by-hand" injected\n\n'
    # The API server takes what was printed, whole, and the injector leaves it alone.
    injector.kubectl("apply", "--server-side", "--filename=-", stdin=told.out)
    made = json.loads(injector.kubectl("get", "pod", "by-hand", f"-n{namespace}", "-ojson"))
    proxy = made["spec"]["initContainers"][1]
    environment = {one["name"]: one.get("value") for one in proxy["env"]}
    assert environment["LINKERD2_PROXY_LOG"].startswith("trace,")
    assert environment["LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"] == ANCHORS
    assert made["metadata"]["annotations"]["linkerd.io/created-by"].startswith("linkerd2-py/cli ")


HOSTILE = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"7",
    b'{"request": null}',
    b'{"request": {"uid": 1}}',
    b"[" * 100_000,
    b'{"request": {"uid": "u", "kind": {"kind": "Pod", "group": ""}, "namespace": "../x"}}',
    b'{"request": {"uid": "u", "kind": {"kind": "Pod", "group": ""}, "object": [1]}}',
    b'{"request": {"uid": "\\ud800", "kind": {"kind": "\\ud800"}}}',
    b"x" * (4 * 1024 * 1024),
)


def test_hostile_reviews_are_answered_and_the_next_one_is_as_ever(injector: Injector) -> None:
    trusting = ssl.create_default_context(cadata=injector.certificate.bundle)
    url = f"https://{HOST}:{injector.port}/"
    with httpx2.Client(verify=trusting, trust_env=False, timeout=START_S) as client:
        for body in HOSTILE:
            answer = client.post(url, content=body)
            assert answer.status_code in (200, 400, 413), body[:60]
            if answer.status_code == 200:
                answered = answer.json()["response"]
                assert answered["allowed"] is (answered["uid"] == "\ud800"), body[:60]
        assert client.get(url).status_code == 405
    assert injector.is_asked()
    assert "Traceback" not in injector.running.child.output()
