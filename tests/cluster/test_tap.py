"""Tap behind a real API server: users ask that, its rules say who may watch, and it passes on who asks. The
objects are those of the chart, and the process runs as its account.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.charts.render import render
from linkerd2_py.charts.values import Layers, values_of
from linkerd2_py.charts.written import as_yaml
from linkerd2_py.cli.checks.cluster.asked import Asked, Where
from linkerd2_py.cli.checks.cluster.tap import TapChecks
from linkerd2_py.cli.checks.run import run_checks
from linkerd2_py.cli.cluster import Cluster
from linkerd2_py.cli.main import run
from linkerd2_py.cli.options import Globals
from linkerd2_py.controlplane.injector.certificates import make_certificate
from tests.support.certificates import Signer
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import START_S, Controller
from tests.support.cluster.crds import install_crds
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.outside import NODE, make_namespace, own_address
from tests.support.ports import free_port
from tests.support.processes import Child
from tests.support.tapped_proxy import TappedProxy, tapped
from tests.support.wait import eventually, eventually_async, in_time

pytestmark = pytest.mark.timeout(300)

NAMESPACE, SHOP = "linkerd-tapping", "tapped-shop"
API = "v1alpha1.tap.linkerd.io"
ROOT = "/apis/tap.linkerd.io/v1alpha1"
LABEL = "linkerd.io/control-plane-component"
ENTRY = (sys.executable, "-m", "linkerd2_py.cli.main")
# What runs its pods, and what would find its programs, which are processes of this machine.
NOT_HERE = ("Deployment", "PodDisruptionBudget", "Service")
WEB_ADMIN = f"linkerd-{NAMESPACE}-web-admin"
RBAC = {"apiVersion": "rbac.authorization.k8s.io/v1"}
Object = dict[str, Any]
Said = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Tapping:
    """The process, and the objects that the API server finds it by."""

    process: Controller
    address: str
    made: list[Object]


def objects(folder: Path) -> list[Object]:
    """Those of the chart's tap, and what lets the dashboard watch; its certificate lies in `folder`, as it is
    mounted.
    """
    now = SystemClock().wall()
    root = Signer("root.linkerd.cluster.local", starts=now - 60)
    issuer = Signer("identity.linkerd.cluster.local", by=root, starts=now - 60)
    own = make_certificate(f"linkerd-tap.{NAMESPACE}.svc", now=now)
    (folder / "tls.crt").write_text(own.certificate)
    (folder / "tls.key").write_text(own.key)
    pair = {"crtPEM": own.certificate, "keyPEM": own.key}
    tls = {"crtPEM": issuer.pem.decode(), "keyPEM": issuer.key_pem.decode()}
    given = {
        "identityTrustAnchorsPEM": root.pem.decode(),
        "identity": {"issuer": {"tls": tls}},
        **dict.fromkeys(("proxyInjector", "policyValidator", "tap"), pair),
    }
    everything = render(values_of(Layers(files=(as_yaml([given]),))), namespace=NAMESPACE)
    return [
        one
        for one in everything
        if one["metadata"].get("labels", {}).get(LABEL) in {"tap", "web"}
        and one["kind"] not in NOT_HERE
    ]


def found_at(made: list[Object], port: int) -> list[Object]:
    """The same, with a service that leads to this machine: here nobody carries traffic to addresses of
    services.
    """
    about = {"name": "linkerd-tap", "namespace": NAMESPACE}
    spec = {"type": "ExternalName", "externalName": "localhost"}
    for one in made:
        if one["kind"] == "APIService":
            one["spec"]["service"]["port"] = port
    return [*made, {"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": spec}]


@pytest.fixture(scope="module")
def tapping(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tapping]:
    """It runs, and the API server has heard of it."""
    kubectl = Kubectl(control_plane.kubeconfig)
    folder = tmp_path_factory.mktemp("tap")
    install_crds(kubectl)
    for name in (NAMESPACE, SHOP):
        make_namespace(kubectl, name)
    made = objects(folder)
    kubectl.apply(*(one for one in made if one["kind"] != "APIService"))
    account = control_plane.kubeconfig_of(f"system:serviceaccount:{NAMESPACE}:linkerd-tap")
    words = (*("--kubeconfig", account, "--api-namespace", NAMESPACE, "--tls", folder),)
    with Controller("tap", *words, folder=folder, addr="--apiserver-addr") as process:
        process.wait_ready()
        address = process.child.wait_for_line(r"tap listens on (\S+)", deadline_s=START_S)[1]
        made = found_at(made, int(address.rpartition(":")[2]))
        kubectl.apply(*made)
        try:
            kubectl("wait", f"apiservice/{API}", "--for=condition=Available", "--timeout=60s")
            yield Tapping(process, address, made)
        finally:
            # Nobody else's namespace can go while an API is not to be reached.
            gone = ("delete", "--ignore-not-found", "--wait=false", "--filename=-")
            kubectl(*gone, stdin=as_yaml(made))
            kubectl("delete", "namespace", NAMESPACE, SHOP, "--wait=false")


def bound(user: str, *rules: Object) -> list[Object]:
    """A user with a role of their own in the shop."""
    about = {"name": user, "namespace": SHOP}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user}
    return [
        {**RBAC, "kind": "Role", "metadata": about, "rules": list(rules)},
        {
            **RBAC,
            "kind": "RoleBinding",
            "metadata": about,
            "roleRef": role,
            "subjects": [{"kind": "User", "name": user}],
        },
    ]


def watches(*resources: str, **more: Any) -> Object:
    return {"apiGroups": ["tap.linkerd.io"], "resources": resources, "verbs": ["watch"], **more}


ADMIN = {
    **RBAC,
    "kind": "ClusterRoleBinding",
    "metadata": {"name": f"{SHOP}-admin"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": f"linkerd-{NAMESPACE}-tap-admin",
    },
    "subjects": [{"kind": "User", "name": "tap-admin"}],
}
USERS = (
    *bound("tap-one", watches("pods/tap", resourceNames=["web-0"])),
    # What an API server calls a watch of a whole namespace, and no more.
    *bound("tap-half", watches("tap")),
)
KNOWN_BY = {"tap-admin": "pods", "tap-one": "po/web-0", "tap-half": f"ns/{SHOP}"}
"""What each of them may ask an API server for."""
Cli = Callable[..., Said]


@pytest.fixture
def cli(
    tapping: Tapping,
    control_plane: ControlPlane,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Cli:
    """Status and outputs of a command that a user gives."""
    monkeypatch.setenv("LINKERD2_PY_STATE_DIR", str(tmp_path))
    for name in ("LINKERD2_PY_API_ADDR", "KUBECONFIG", "LINKERD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    Kubectl(control_plane.kubeconfig).apply(ADMIN, *USERS)

    def ask(user: str, *words: str) -> Said:
        status = run([f"--kubeconfig={control_plane.kubeconfig_of(user)}", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    def are_known() -> bool:
        # Else the API server refuses, in other words than ours.
        said = [ask(user, "tap", what, "-n", SHOP)[2] for user, what in KNOWN_BY.items()]
        return not any("cannot watch resource" in err for err in said)

    eventually(are_known, deadline_s=START_S, what="the rules hold")
    return ask


def test_the_api_server_tells_of_the_api(tapping: Tapping, kubectl: Kubectl) -> None:
    found = json.loads(kubectl("get", f"--raw={ROOT}"))
    assert {"pods/tap", "deployments/tap", "namespaces/tap"} <= {
        one["name"] for one in found["resources"]
    }
    listed = kubectl("api-resources", "--api-group=tap.linkerd.io", "--output=name").split()
    assert {"pods.tap.linkerd.io", "deployments.tap.linkerd.io"} <= set(listed)
    assert not tapping.process.child.output().count("orbidden")


def test_who_may_watch_hears_what_there_is(cli: Cli) -> None:
    for words, told in {
        ("pods",): f'no pods to tap for type="pod" namespace="{SHOP}": none that runs has a proxy',
        ("deploy/web",): "there is no such deployment",
        (f"ns/{SHOP}",): f'no pods to tap for type="namespace" name="{SHOP}"',
    }.items():
        status, out, err = cli("tap-admin", "tap", *words, "-n", SHOP)
        assert (status, out) == (1, "")
        assert told in err
        assert len(err.splitlines()) == 1


def test_who_may_not_is_told_by_the_api_server(cli: Cli) -> None:
    status, out, err = cli("nobody-much", "tap", "pods", "-n", SHOP)
    assert (status, out) == (1, "")
    assert 'User "nobody-much" cannot watch resource "pods/tap"' in err


def test_one_name_is_not_the_whole_kind(cli: Cli) -> None:
    assert "there is no such pod" in cli("tap-one", "tap", "po/web-0", "-n", SHOP)[2]
    for words in (("po/web-1",), ("pods",), (f"ns/{SHOP}",)):
        assert " cannot watch resource " in cli("tap-one", "tap", *words, "-n", SHOP)[2]


def test_what_only_tap_knows_is_asked_of_the_same_user(cli: Cli) -> None:
    """Of a watch of a namespace the API server asks for `tap`; what it is a watch of is in the rules, too."""
    err = cli("tap-half", "tap", f"ns/{SHOP}")[2]
    assert "tap-half cannot watch namespaces/tap.tap.linkerd.io" in err


async def test_nobody_comes_past_the_api_server(
    tapping: Tapping, control_plane: ControlPlane
) -> None:
    """Not even with a certificate of the cluster, or with one that says that it is allowed."""
    known = control_plane.keys
    known.client("impostor", user="front-proxy-client", group="system:masters")
    own = next(one for one in tapping.made if one["kind"] == "APIService")["spec"]["caBundle"]
    for pair in ("", "impostor", "front"):
        trusting = ssl.create_default_context(cadata=bundle(own))
        trusting.check_hostname = False
        if pair:
            trusting.load_cert_chain(known.path(f"{pair}.crt"), known.path(f"{pair}.key"))
        url = f"https://{tapping.address}"
        user = {"X-Remote-User": "system:admin", "X-Remote-Group": "system:masters"}
        async with httpx2.AsyncClient(base_url=url, verify=trusting, trust_env=False) as client:
            if pair == "front":
                # The API server's own.
                assert (await client.get(ROOT, headers=user)).status_code == 200
            else:
                with pytest.raises((httpx2.HTTPError, ssl.SSLError)):
                    await client.get(ROOT, headers=user)


def bundle(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


@pytest.fixture
async def shop(tapping: Tapping, kubectl: Kubectl) -> AsyncIterator[TappedProxy]:
    """A pod whose proxy is a server of this test."""
    proxy = TappedProxy()
    ip, port = own_address(), free_port()
    async with tapped(proxy, address=f"{ip}:{port}"):
        await asyncio.to_thread(run_meshed, kubectl, ip=ip, port=port)
        yield proxy
    delete = ("delete", "pod", "web-0", f"--namespace={SHOP}", "--grace-period=0", "--force")
    await asyncio.to_thread(kubectl, *delete)


def run_meshed(kubectl: Kubectl, *, ip: str, port: int) -> None:
    about = {"name": "web-0", "namespace": SHOP}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about}
    env = {
        "LINKERD2_PROXY_CONTROL_LISTEN_ADDR": f"0.0.0.0:{port}",
        "LINKERD2_PROXY_TAP_SVC_NAME": "linkerd-tap.serviceaccount",
    }
    proxy = {
        "name": "linkerd-proxy",
        "image": "none",
        "env": [{"name": name, "value": value} for name, value in env.items()],
    }
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}},
        {
            **pod,
            "metadata": {**about, "labels": {"linkerd.io/control-plane-ns": NAMESPACE}},
            "spec": {"nodeName": NODE, "containers": [proxy]},
        },
    )
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}
    kubectl.apply_status({**pod, "status": status})


async def test_events_come_through_the_api_server_as_they_happen(
    cli: Cli, shop: TappedProxy, control_plane: ControlPlane, tmp_path: Path
) -> None:
    def is_known() -> bool:
        # Of one that is not there it is said so; of this one, that it has no such label.
        return "none that runs" in cli("tap-admin", "tap", "po/web-0", "-n", SHOP, "-l", "a=b")[2]

    def known() -> None:
        eventually(is_known, deadline_s=START_S, what="the pod is known")

    await asyncio.to_thread(known)
    kubeconfig = control_plane.kubeconfig_of("tap-admin")
    words = (*ENTRY, f"--kubeconfig={kubeconfig}", "tap", "pods", "-n", SHOP, "-o", "json")
    watching = Child.start(words, log=tmp_path / "tap.log")
    try:
        await eventually_async(lambda: shop.open == 1, deadline_s=START_S)
        for number in (1, 2):
            assert shop.tell(path=f"/{number}", stream=number) == 1
            line = rf'.*"path": ?"/{number}".*'
            await asyncio.to_thread(watching.wait_for_line, line, deadline_s=START_S)
        # Whoever carries traffic of a pod is told who must answer.
        named = f"default.{SHOP}.serviceaccount.identity.{NAMESPACE}.cluster.local"
        assert shop.metadata[0]["l5d-require-id"] == named
    finally:
        watching.kill()
    # Whoever is gone is not told any more, through the API server, too.
    await eventually_async(lambda: shop.open == 0, deadline_s=START_S)


@pytest.fixture
def dashboard(tapping: Tapping, control_plane: ControlPlane, tmp_path: Path) -> Iterator[str]:
    """Where a browser asks: web, as its account."""
    account = control_plane.kubeconfig_of(f"system:serviceaccount:{NAMESPACE}:linkerd-web")
    words = ("--live-calls=true", "--kubeconfig", account, "--public-api-addr", "127.0.0.1:1")
    with Controller("web", *words, folder=tmp_path) as process:
        process.wait_ready()
        yield process.child.wait_for_line(r"web listens on (\S+)", deadline_s=START_S)[1]


async def live(address: str, **asked: Any) -> AsyncIterator[Object]:
    """What a page is told that asks this."""
    headers = {"origin": f"http://{address}"}
    async with connect(f"ws://{address}/api/tap", additional_headers=headers) as socket:
        await socket.send(json.dumps({"namespace": SHOP, **asked}))
        async for message in socket:
            yield json.loads(message)


async def first(address: str, **asked: Any) -> Object:
    """What a page is told at once."""
    async with aclosing(live(address, **asked)) as told:
        return await in_time(anext(told), START_S)


async def told_at_last(address: str, word: str) -> Any:
    """What it says of this, as soon as it does: what holds is heard of in a moment."""

    async def told() -> Any:
        return (await first(address, type="pod", name="web-0")).get(word)

    return await eventually_async(told, deadline_s=START_S, what=word)


async def test_whoever_reaches_the_dashboard_watches_calls(
    dashboard: str, shop: TappedProxy
) -> None:
    page = httpx2.get(f"http://{dashboard}/api/page", trust_env=False).json()
    assert (page["source"], page["tap"]) == ("kubernetes", True)
    await told_at_last(dashboard, "pods")
    async with aclosing(live(dashboard, type="pod", name="web-0", path="/v")) as told:
        assert (await anext(told))["notice"] == "watching"
        await eventually_async(lambda: shop.open == 1, deadline_s=START_S)
        assert shop.tell(path="/v", stream=1) == 1
        event = await in_time(anext(told), START_S)
        assert event["requestInitEvent"]["path"] == "/v"
        assert event["destination"]["metadata"]["pod"] == "web-0"
    # Whoever closes the page is not told any more.
    await eventually_async(lambda: shop.open == 0, deadline_s=START_S)
    gone = await first(dashboard, type="deploy", name="gone")
    assert (gone["notice"], "there is no such deployment" in gone["reason"]) == ("ended", True)


async def test_a_dashboard_that_may_not_says_so_in_one_line(
    dashboard: str, tapping: Tapping, shop: TappedProxy, kubectl: Kubectl
) -> None:
    (binding,) = (one for one in tapping.made if one["metadata"]["name"] == WEB_ADMIN)
    await asyncio.to_thread(kubectl, "delete", "clusterrolebinding", WEB_ADMIN)
    try:
        reason = await told_at_last(dashboard, "reason")
    finally:
        await asyncio.to_thread(kubectl.apply, binding)
    user = f"system:serviceaccount:{NAMESPACE}:linkerd-web"
    assert reason.startswith('not allowed to watch calls: pods.tap.linkerd.io "web-0" is forbidden')
    assert f'User "{user}" cannot watch resource "pods/tap"' in reason
    assert "\n" not in reason


@pytest.fixture
def installed(tapping: Tapping, kubectl: Kubectl) -> Iterator[Kubectl]:
    """The values that it was installed with are written down; its API is what it was, whatever a test does."""
    configure(kubectl, enabled=True)
    yield kubectl
    (api,) = (one for one in tapping.made if one["kind"] == "APIService")
    kubectl.apply(api)
    kubectl("wait", f"apiservice/{API}", "--for=condition=Available", "--timeout=60s")


def configure(kubectl: Kubectl, *, enabled: bool) -> None:
    about = {"name": "linkerd-config", "namespace": NAMESPACE}
    data = {"values": json.dumps({"tap": {"enabled": enabled}})}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data})


def checked(control_plane: ControlPlane, *, wait_s: float = 0.0) -> dict[str, str]:
    """What each check of tap found: nothing where it is well."""
    cluster = Cluster(control_plane.kubeconfig, Globals())
    try:
        checks = TapChecks(Asked(lambda: cluster, where=Where(NAMESPACE, "")))
        asked = [*checks.of_certificate(), *checks.checks()]
        found = run_checks(asked, wait_s=wait_s, on_wait=lambda _: None)
        return {one.description: f"{one.outcome}: {one.message}".rstrip(": ") for one in found}
    finally:
        cluster.close()


VALID = "tap API server has valid cert"
LASTING = "tap API server cert is valid for at least 60 days"
RUNNING = "tap API service is running"
ASKED = "tap API service can be asked"
WELL = dict.fromkeys((VALID, LASTING, RUNNING, ASKED), "success")


def test_check_finds_a_tap_that_works(control_plane: ControlPlane, installed: Kubectl) -> None:
    assert checked(control_plane) == WELL


def test_check_says_nothing_where_tap_was_not_installed(
    control_plane: ControlPlane, installed: Kubectl
) -> None:
    configure(installed, enabled=False)
    assert checked(control_plane) == {}


def test_check_finds_a_bundle_by_which_nobody_trusts_it(
    control_plane: ControlPlane, tapping: Tapping, installed: Kubectl
) -> None:
    """Whether an API is there the API server finds out without a look at its certificate."""
    other = base64.b64encode(Signer("other", starts=SystemClock().wall() - 60).pem).decode()
    change_api(tapping, installed, caBundle=other)
    found = eventually(
        lambda: found if (found := checked(control_plane))[ASKED] != "success" else None,
        deadline_s=START_S,
    )
    assert found[VALID].startswith("error: cert is not issued by the trust anchor")
    assert found[LASTING] == "success"
    assert found[ASKED].startswith("warning: the API server gets no answer of tap: ")


def test_check_finds_a_certificate_that_ends_soon(
    control_plane: ControlPlane, tapping: Tapping, installed: Kubectl
) -> None:
    (secret,) = (one for one in tapping.made if one["kind"] == "Secret")
    now = SystemClock().wall()
    signer = Signer("soon", starts=now - 60, lifetime_s=50 * 86_400.0)
    pem = base64.b64encode(signer.pem).decode()
    installed.apply({**secret, "data": {**secret["data"], "tls.crt": pem}})
    try:
        found = checked(control_plane)
    finally:
        installed.apply(secret)
    assert found[LASTING].startswith("warning: certificate will expire on 20")
    assert (
        found[VALID]
        == f"error: the certificate is not for linkerd-tap.{NAMESPACE}.svc, but for nobody"
    )


def test_check_finds_another_tap_and_none(
    control_plane: ControlPlane, tapping: Tapping, installed: Kubectl
) -> None:
    change_api(tapping, installed, service={"name": "tap", "namespace": "linkerd-viz", "port": 443})
    found = checked(control_plane)
    assert found[VALID].startswith(
        f"error: APIService {API} leads to the service tap in linkerd-viz"
    )
    installed("delete", "apiservice", API)
    assert checked(control_plane)[RUNNING] == f"warning: there is no APIService {API}"


def change_api(tapping: Tapping, kubectl: Kubectl, **spec: Any) -> None:
    (api,) = (one for one in tapping.made if one["kind"] == "APIService")
    kubectl.apply({**api, "spec": {**api["spec"], **spec}})
