"""`inject` and `uninject`: what is printed, what is told, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from linkerd2_py.cli.main import run

CONFIG = "config.linkerd.io/"
DEPLOYMENT = """\
# What the shop shows.
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: web}]
"""
CONFIG_MAP = """\
kind: ConfigMap   # of the shop
apiVersion: v1
metadata: {name: colours}
data: {on: 'on', mode: 0644}
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 80}]}\n"


class Told:
    """What a run printed."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def documents(self) -> list[Any]:
        return [one for one in yaml.safe_load_all(self.out) if one is not None]

    @property
    def annotations(self) -> dict[str, str]:
        """Of the pods of the first document."""
        found: dict[str, str] = self.documents[0]["spec"]["template"]["metadata"]["annotations"]
        return found


class Commands:
    """Runs commands on manifests of their own."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capfd = capfd

    def __call__(self, *words: str, **files: str | bytes) -> Told:
        for name, text in files.items():
            content = text if isinstance(text, bytes) else text.encode()
            (self.folder / f"{name}.yaml").write_bytes(content)
        status = run(words)
        return Told(status, *self._capfd.readouterr())

    def inject(self, text: str | bytes, *words: str) -> Told:
        where = str(self.folder / "app.yaml")
        return self("inject", where, "--ignore-cluster", *words, app=text)

    def manual(self, text: str, *words: str) -> Told:
        (self.folder / "anchors.pem").write_text("ANCHORS\n")
        anchors = f"--identity-trust-anchors-file={self.folder / 'anchors.pem'}"
        return self.inject(text, "--manual", anchors, *words)


@pytest.fixture
def commands(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Commands:
    monkeypatch.delenv("LINKERD_DOCKER_REGISTRY", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return Commands(tmp_path, capfd)


def test_what_is_not_changed_stays_as_it_came(commands: Commands) -> None:
    told = commands.inject(f"{CONFIG_MAP}---\n{DEPLOYMENT}---\n{SERVICE}")
    assert told.status == 0
    assert told.out.startswith(f"{CONFIG_MAP}---\n")
    assert told.out.endswith(f"{SERVICE}---\n")
    injected = told.documents[1]["spec"]["template"]["metadata"]["annotations"]
    assert injected == {"linkerd.io/inject": "enabled"}
    lines = ('configmap "colours" skipped', 'deployment "web" injected', 'service "db" skipped')
    assert told.err == "\n" + "".join(f"{line}\n" for line in lines) + "\n"


def test_without_flags_no_cluster_is_asked(commands: Commands) -> None:
    told = commands("inject", str(commands.folder / "app.yaml"), app=DEPLOYMENT)
    assert told.status == 0
    told = commands("inject", str(commands.folder / "app.yaml"), "--manual")
    assert (told.status, told.out) == (1, "")
    assert told.err.startswith("linkerd2-py: no cluster is known: name it by --kubeconfig")


def test_folders_lists_and_standard_input(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    (commands.folder / "app" / "more").mkdir(parents=True)
    (commands.folder / "app" / "README.md").write_text("no: [yaml")
    (commands.folder / "app" / "a.yaml").write_text(DEPLOYMENT)
    listed = {"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(DEPLOYMENT), None]}
    (commands.folder / "app" / "more" / "b.json").write_text(json.dumps(listed))
    told = commands("inject", str(commands.folder / "app"))
    kinds = [one["kind"] for one in told.documents]
    assert (told.status, kinds) == (0, ["Deployment", "List"])
    assert told.err.count('deployment "web" injected') == 2
    assert 'document missing "kind" field, skipped' in told.err

    class Input:
        buffer = io.BytesIO(DEPLOYMENT.encode())

    monkeypatch.setattr("sys.stdin", Input)
    told = commands("inject", "-", "--output=json")
    lines = told.out.splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["kind"] == "Deployment"


@pytest.mark.parametrize(
    ("words", "annotations"),
    [
        (["--admin-port=9998"], {f"{CONFIG}admin-port": "9998"}),
        (["--admin-port=4191"], {}),
        (["--proxy-cpu-request=0.5"], {f"{CONFIG}proxy-cpu-request": "0.5"}),
        (["--no-native-sidecar"], {f"{CONFIG}proxy-enable-native-sidecar": "false"}),
        (["--native-sidecar"], {}),
        (
            ["--skip-inbound-ports=22", "--skip-inbound-ports=80-90"],
            {f"{CONFIG}skip-inbound-ports": "22,80-90"},
        ),
        (["--opaque-ports=3306,5432"], {f"{CONFIG}opaque-ports": "3306,5432"}),
        (["--registry=r.example/x"], {f"{CONFIG}proxy-image": "r.example/x/linkerd2-py-proxy"}),
        (["--enable-debug-sidecar"], {f"{CONFIG}enable-debug-sidecar": "true"}),
        (["--close-wait-timeout=1m"], {f"{CONFIG}close-wait-timeout": "1m"}),
        (["--default-inbound-policy=deny"], {f"{CONFIG}default-inbound-policy": "deny"}),
        (["--ingress"], {"linkerd.io/inject": "ingress"}),
        (
            ["--wait-before-exit-seconds=10"],
            {"config.alpha.linkerd.io/proxy-wait-before-exit-seconds": "10"},
        ),
    ],
)
def test_flags_become_annotations(
    commands: Commands, words: list[str], annotations: dict[str, str]
) -> None:
    told = commands.inject(DEPLOYMENT, *words)
    assert told.annotations == {"linkerd.io/inject": "enabled", **annotations}


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("--admin-port=0", "--admin-port: '0' is not a whole number from 1 to 65535"),
        ("--proxy-cpu-limit=lots", "--proxy-cpu-limit: 'lots' is not a quantity"),
        ("--skip-inbound-ports=80,x", "--skip-inbound-ports: 'x' is no port and no range of ports"),
        ("--default-inbound-policy=all", "--default-inbound-policy: 'all' is not known"),
        ("--close-wait-timeout=long", "--close-wait-timeout: 'long' is not a duration"),
        ("--output=xml", "-o: 'xml' is not an output format"),
    ],
)
def test_flags_that_mean_nothing(commands: Commands, word: str, complaint: str) -> None:
    told = commands.inject(DEPLOYMENT, word)
    assert (told.status, told.out) == (2, "")
    assert complaint in told.err
    assert told.err.count("\n") == 1


def test_flags_hold_for_the_proxy_itself(commands: Commands) -> None:
    told = commands.manual(DEPLOYMENT, "--no-native-sidecar", "--proxy-uid=3000", "--ingress")
    spec = told.documents[0]["spec"]["template"]["spec"]
    assert [one["name"] for one in spec["containers"]] == ["linkerd-proxy", "web"]
    assert [one["name"] for one in spec["initContainers"]] == ["linkerd-init"]
    proxy = spec["containers"][0]
    assert proxy["securityContext"]["runAsUser"] == 3000
    assert {"name": "LINKERD2_PROXY_INGRESS_MODE", "value": "true"} in proxy["env"]
    assert proxy["lifecycle"]["postStart"]["exec"]["command"][0].endswith("/linkerd-await")
    assert "linkerd.io/inject" not in told.annotations


def test_what_was_injected_is_injected_anew_and_can_be_taken_out(commands: Commands) -> None:
    once = commands.manual(DEPLOYMENT, "--registry=r.example")
    twice = commands.manual(once.out, "--registry=r.example")
    assert twice.out == once.out
    before = commands("uninject", str(commands.folder / "app.yaml"), app=once.out)
    assert before.err == '\ndeployment "web" uninjected\n\n'
    kept = yaml.safe_load(DEPLOYMENT)
    kept["spec"]["template"]["metadata"]["annotations"] = {
        f"{CONFIG}proxy-image": "r.example/linkerd2-py-proxy"
    }
    assert before.documents == [kept]


def test_whoever_said_disabled_meant_it(commands: Commands) -> None:
    said = DEPLOYMENT.replace(
        "metadata: {labels", "metadata: {annotations: {linkerd.io/inject: disabled}, labels"
    )
    told = commands.inject(said)
    assert (told.status, told.out) == (0, f"{said}---\n")
    lines = (
        '‼ "linkerd.io/inject: disabled" annotation set on deployment/web',
        "",
        'deployment "web" skipped',
    )
    assert told.err == "\n" + "".join(f"{line}\n" for line in lines) + "\n"


def test_everything_that_is_fine_is_told_on_demand(commands: Commands) -> None:
    told = commands.inject(DEPLOYMENT, "--verbose")
    assert [line for line in told.err.splitlines() if line.startswith("√")] == [
        "√ pods do not use host networking",
        "√ pods do not have a 3rd party proxy or initContainer already injected",
        "√ pods are not annotated to disable injection",
        "√ at least one resource can be injected or annotated",
        "√ pod specs do not include UDP ports",
        (
            '√ pods do not have automountServiceAccountToken set to "false" or service account token '
            "projection is enabled"
        ),
    ]


def test_nothing_that_can_be_injected_is_a_warning(commands: Commands) -> None:
    assert "‼ no supported objects found" in commands.inject(CONFIG_MAP).err


OF_CONTROL_PLANE = DEPLOYMENT.replace(
    "labels: {app: web}", "labels: {linkerd.io/control-plane-component: x}"
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            f"{DEPLOYMENT}      hostNetwork: true\n",
            "failed to inject deployment/web: hostNetwork is enabled",
        ),
        (
            DEPLOYMENT.replace("image: web", "image: 'gcr.io/istio-release/proxyv2:1'"),
            "failed to inject deployment/web: pod has a sidecar injected already",
        ),
        (OF_CONTROL_PLANE, "--manual must be set when injecting control plane components"),
        (
            DEPLOYMENT.replace("[{name: web, image: web}]", "7"),
            "spec.template.spec.containers: must be a list",
        ),
        (
            DEPLOYMENT.replace("{labels: {app: web}}", "{annotations: {a: 1}}"),
            "spec.template.metadata.annotations.a: must be a text",
        ),
        ("- 1\n- 2\n", "must be an object"),
        ("just words", "must be an object"),
        ("kind: List\nitems: 7\n", "items: must be a list"),
        ("a: [\n", "app.yaml: line 2: did not find expected node content"),
        ("a: &a [x, x]\nb: *c\n", "app.yaml: line 2: nothing is called 'c' before this"),
        (b"\xff\xfe\x00", "app.yaml: is no text: invalid start byte at byte 0"),
        ("[" * 5000, "app.yaml: line 1: exceeded maximum nesting depth"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_printed(
    commands: Commands, text: str | bytes, complaint: str
) -> None:
    sound = text if isinstance(text, bytes) else f"{CONFIG_MAP}---\n{text}"
    if isinstance(text, str) and "line" in complaint:
        sound = text
    told = commands.inject(sound)
    assert (told.status, told.out) == (1, "")
    assert complaint in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("nowhere.yaml", "nowhere.yaml: No such file or directory"),
        ("http://example.org/app.yaml", "only HTTPS URLs are allowed"),
        ("ftp://example.org/app.yaml", "only HTTPS URLs are allowed"),
        ("https://127.0.0.1:1/app.yaml", "unable to read URL https://127.0.0.1:1/app.yaml: "),
        ("\x1b[2J", "\\x1b[2J: No such file or directory"),
        ("https://[bad", "https://[bad: "),
    ],
)
def test_where_nothing_is(commands: Commands, where: str, complaint: str) -> None:
    for command in ("inject", "uninject"):
        told = commands(command, where)
        assert (told.status, told.out) == (1, "")
        assert complaint in told.err
        assert told.err.count("\n") == 1


def test_an_empty_folder_is_said_to_be_one(commands: Commands) -> None:
    (commands.folder / "empty").mkdir()
    told = commands("inject", str(commands.folder / "empty"))
    assert told.status == 1
    assert "there is no .yaml, .yml or .json file in this folder" in told.err


def test_names_do_nothing_to_a_terminal(commands: Commands) -> None:
    told = commands.inject(DEPLOYMENT.replace("name: web, namespace", 'name: "a\\e[2J", namespace'))
    assert told.err == '\ndeployment "a\\x1b[2J" injected\n\n'


def test_annotations_that_cannot_be_read_are_told(commands: Commands) -> None:
    said = DEPLOYMENT.replace(
        "metadata: {labels", "metadata: {annotations: {config.linkerd.io/admin-port: x}, labels"
    )
    told = commands.manual(said)
    assert told.status == 0
    problem = "config.linkerd.io/admin-port: 'x' is not a whole number from 1 to 65535"
    assert f"‼ deployment/web: {problem}" in told.err
