"""`install` and `upgrade` without a cluster: what is printed, kept, refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.charts.values import defaults, laid_over
from linkerd2_py.cli.commands.install import installed
from linkerd2_py.cli.commands.upgrade import upgraded
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.lifecycle import webhooks
from linkerd2_py.cli.lifecycle.making import Said, values_said
from linkerd2_py.cli.lifecycle.stored import InManifest, differences, known_only
from linkerd2_py.cli.lifecycle.trust import TrustFiles
from linkerd2_py.cli.main import run
from linkerd2_py.controlplane.identity.ca import make_anchor, make_issuer_below
from linkerd2_py.controlplane.identity.names import TrustDomain

Object = dict[str, Any]
Cli = Callable[..., tuple[int, str, str]]
NOTHING = TrustFiles()
BUNDLE = ("ConfigMap", "linkerd-identity-trust-roots")
ISSUER = ("Secret", "linkerd-identity-issuer")
OVERRIDES = ("Secret", "linkerd-config-overrides")
CONFIG = ("ConfigMap", "linkerd-config")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "LINKERD_NAMESPACE", "LINKERD_DOCKER_REGISTRY"):
        monkeypatch.delenv(name, raising=False)

    def said(*words: str) -> tuple[int, str, str]:
        status = run(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return said


def objects(text: str) -> list[Object]:
    return [one for one in yaml.safe_load_all(text) if one]


def named(found: list[Object], which: tuple[str, str]) -> Object:
    return next(one for one in found if (one["kind"], one["metadata"]["name"]) == which)


def decoded(secret: Object) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def write_trust(folder: Path) -> list[str]:
    """Flags that name an anchor and an issuer of one's own."""
    now, domain = SystemClock().wall(), TrustDomain()
    anchor = make_anchor(domain, now=now)
    issuer = make_issuer_below(anchor, domain, now=now)
    content = {
        "trust-anchors": anchor.certificate_pem,
        "issuer-certificate": issuer.certificate_pem,
        "issuer-key": issuer.key_pem,
    }
    for name, pem in content.items():
        (folder / name).write_bytes(pem)
    return [f"--identity-{name}-file={folder / name}" for name in content]


async def install_beside(said: Said, *there: Object) -> list[Object]:
    found = InManifest(there, namespace="linkerd")
    return await installed(values_said(said), NOTHING, there=found, namespace="linkerd")


async def upgrade_of(there: list[Object], said: Said | None = None) -> list[Object]:
    found = InManifest(there, namespace="linkerd")
    return await upgraded(said or Said({}), NOTHING, there=found, namespace="linkerd")


async def test_no_key_is_printed_twice() -> None:
    made = await install_beside(Said({}))
    secrets = [decoded(one) for one in made if one["kind"] == "Secret"]
    keys = [one[name] for one in secrets for name in ("key.pem", "tls.key") if name in one]
    assert len(keys) == 4
    text = json.dumps(made)
    assert "PRIVATE KEY" not in text
    assert [text.count(encoded(key)) for key in keys] == [1, 1, 1, 1]


async def test_an_upgrade_of_the_same_version_changes_nothing() -> None:
    made = await install_beside(
        Said({"--ha": True, "--proxy-log-level": "debug"}, set=("controllerReplicas=2",))
    )
    assert await upgrade_of(made) == made


async def test_what_an_upgrade_says_is_kept_for_the_next() -> None:
    made = await install_beside(Said({"--proxy-cpu-request": "50m"}))
    first = await upgrade_of(made, Said({}, set=("proxy.logLevel=trace",)))
    second = await upgrade_of(first)
    assert second == first
    values = yaml.safe_load(named(second, CONFIG)["data"]["values"])
    assert values["proxy"]["logLevel"] == "trace"
    assert values["proxy"]["resources"]["cpu"]["request"] == "50m"


async def test_wherever_an_apply_stops_there_is_one_anchor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before there is an issuer nobody has a certificate, and any anchor is the only one."""
    made = await install_beside(Said({}))
    for number in range(len(made)):
        there = made[:number]
        again = await install_beside(Said({}), *there)
        has_issuer = any((one["kind"], one["metadata"]["name"]) == ISSUER for one in there)
        kept = capsys.readouterr().err.startswith("An install stopped halfway here")
        assert kept is has_issuer
        assert (named(again, BUNDLE) == named(made, BUNDLE)) is has_issuer
    with pytest.raises(CliError, match="Run the command `linkerd2-py upgrade`"):
        await install_beside(Said({}), *made)


async def test_an_issuer_that_somebody_else_makes() -> None:
    made = await install_beside(Said({}))
    issuer = named(made, ISSUER)
    own = {"crt.pem": "tls.crt", "key.pem": "tls.key"}
    data = {own.get(name, name): text for name, text in issuer["data"].items()}
    others = {**issuer, "type": "kubernetes.io/tls", "data": data}
    with pytest.raises(CliError, match="somebody else: say --identity-external-issuer"):
        await install_beside(Said({}), named(made, BUNDLE), others)


async def test_an_issuer_whose_anchor_is_nowhere() -> None:
    made = await install_beside(Said({}))
    with pytest.raises(CliError, match="nothing says which anchor vouches for it"):
        await install_beside(Said({}), named(made, ISSUER))


async def test_an_upgrade_without_overrides_goes_by_the_configuration() -> None:
    """Where somebody may not write Secrets, an apply goes on behind them."""
    made = await install_beside(Said({}, set=("proxy.logLevel=trace",)))
    there = [one for one in made if one is not named(made, OVERRIDES)]
    assert await upgrade_of(there) == made


async def test_an_upgrade_that_stopped_halfway_is_repeated() -> None:
    made = await install_beside(Said({}))
    later = await upgrade_of(made, Said({"--controller-replicas": 2}))
    for number in range(len(made) + 1):
        # Some objects are of after, the others of before; overrides come before what they are about.
        there = [*later[:number], *made[number:]]
        again = await upgrade_of(there)
        assert again == (later if number > later.index(named(later, OVERRIDES)) else made)


async def test_what_helm_installed_is_helms() -> None:
    made = await install_beside(Said({}))
    named(made, CONFIG)["metadata"].setdefault("annotations", {})["meta.helm.sh/release-name"] = (
        "mesh"
    )
    for command in (install_beside(Said({}), *made), upgrade_of(made)):
        with pytest.raises(CliError, match="was installed with Helm: use Helm"):
            await command


async def test_values_that_are_gone_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    made = await install_beside(Said({}))
    older = yaml.safe_dump({"disableHeartBeat": True, "proxy": {"logLevel": "trace", "x": 1}})
    named(made, OVERRIDES)["data"]["linkerd-config-overrides"] = encoded(older)
    again = await upgrade_of(made)
    assert capsys.readouterr().err == (
        "Values that this version does not have are left out: disableHeartBeat, proxy.x\n"
    )
    kept = decoded(named(again, OVERRIDES))["linkerd-config-overrides"]
    assert yaml.safe_load(kept) == {"proxy": {"logLevel": "trace"}}


async def test_certificates_are_not_exchanged_while_the_anchor_is_rotated(tmp_path: Path) -> None:
    made = await install_beside(Said({}))
    about = {"name": "linkerd-identity-rotation", "namespace": "linkerd"}
    there = InManifest([*made, {"kind": "Secret", "metadata": about}], namespace="linkerd")
    files = TrustFiles(anchors=tmp_path / "anchors")
    with pytest.raises(CliError, match="identity rotate-anchors --status` says how far"):
        await upgraded(Said({}), files, there=there, namespace="linkerd")


def test_webhooks_get_another_certificate_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = webhooks.WEBHOOKS[0]
    first = webhooks.new_certificate(webhook, namespace="linkerd")
    secret = {"data": {"tls.crt": encoded(first.certificate), "tls.key": encoded(first.key)}}
    assert webhooks.kept_certificate(webhook, namespace="linkerd", secret=secret) == first
    monkeypatch.setattr(webhooks, "_RENEW", webhooks._LIFETIME)
    later = webhooks.kept_certificate(webhook, namespace="linkerd", secret=secret)
    assert later.certificate != first.certificate
    # Whoever still answers with the old one is believed until it has the new one.
    both = [x509.load_pem_x509_certificate(one.certificate.encode()) for one in (later, first)]
    assert x509.load_pem_x509_certificates(later.bundle.encode()) == both


def test_what_differs_is_what_makes_it() -> None:
    changed = {"proxy": {"logLevel": "x", "ports": {"admin": 1}}, "tolerations": [{"key": "a"}]}
    values = laid_over(defaults(), changed)
    assert differences(values, defaults()) == changed
    del values["proxy"]["accessLog"]
    assert differences(values, defaults())["proxy"]["accessLog"] is None
    assert laid_over(defaults(), differences(values, defaults())) == values


def test_only_what_is_known() -> None:
    below = {"properties": {"b": {}}, "additionalProperties": False}
    schema = {"additionalProperties": False, "properties": {"a": below, "c": {}}}
    found = known_only({"a": {"b": 1, "x": 2}, "c": {"y": 3}, "z": 4}, schema)
    assert found == ({"a": {"b": 1}, "c": {"y": 3}}, ["a.x", "z"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--proxy-cpu-limit=many",), "--proxy-cpu-limit: 'many' is not a quantity"),
        (
            ("--proxy-memory-limit=1Mi", "--proxy-memory-request=2Mi"),
            "The memory limit '1Mi' cannot be lower",
        ),
        (("--inbound-port=70000",), "--inbound-port: 70000 is not a port"),
        (("--skip-inbound-ports=9-1",), "--skip-inbound-ports: '9-1' is not a range"),
        (
            ("--default-inbound-policy=all",),
            "--default-inbound-policy: 'all' is not one of all-auth",
        ),
        (("--image-pull-policy=now",), "--image-pull-policy: 'now' is not one of Always"),
        (("--identity-issuance-lifetime=soon",), "--identity-issuance-lifetime: "),
        (("--identity-trust-domain=a_b",), "'a_b'"),
        (("--set=nothing",), "nothing"),
        (("--set=foo.bar=1",), "foo: no such value"),
        (("--values=/nowhere.yaml",), "/nowhere.yaml: No such file or directory"),
        (("-o", "xml"), "'xml' is not an output format"),
        (("-L", "Bad_Name"), "'Bad_Name' is not a namespace"),
        (
            ("--identity-trust-anchors-file=/nowhere",),
            "a certificate file must be specified if other",
        ),
        (("--identity-external-issuer",), "the Secret linkerd-identity-issuer must be there"),
    ],
)
def test_bad_words_are_one_line_and_no_output(cli: Cli, words: tuple[str, ...], said: str) -> None:
    status, out, err = cli("install", "--ignore-cluster", *words)
    assert (bool(status), out, err.count("\n")) == (True, "", 1)
    assert said in err


def test_without_a_cluster(cli: Cli) -> None:
    status, out, err = cli("install")
    assert (status, out) == (1, "")
    assert (
        "Unable to install the Linkerd control plane. Cannot connect to the Kubernetes cluster: "
        in err
    )
    assert err.endswith(
        "--ignore-cluster flag if you just want to generate the installation config.\n"
    )


def test_files_of_ones_own(cli: Cli, tmp_path: Path) -> None:
    flags = write_trust(tmp_path)
    status, out, err = cli("install", "--ignore-cluster", *flags)
    assert (status, err) == (0, "")
    bundle = named(objects(out), BUNDLE)["data"]["ca-bundle.crt"]
    assert bundle == (tmp_path / "trust-anchors").read_text().strip()
    other = tmp_path / "other"
    other.mkdir()
    status, out, err = cli("install", "--ignore-cluster", flags[0], *write_trust(other)[1:])
    assert (status, out) == (1, "")
    assert "failed to validate issuer credentials: no trust anchor issued" in err


def test_one_object_a_line_from_a_registry(cli: Cli) -> None:
    words = ("--ignore-cluster", "-o", "json", "--registry", "registry.example/mesh/")
    made = [json.loads(line) for line in cli("install", *words)[1].splitlines()]
    assert [made[0]["kind"], made[-1]["metadata"]["name"]] == ["Namespace", "linkerd-config"]
    specs = [one["spec"]["template"]["spec"] for one in made if one["kind"] == "Deployment"]
    containers = [one for spec in specs for one in (*spec["initContainers"], *spec["containers"])]
    images = {one["image"].rpartition(":")[0] for one in containers}
    assert images == {
        f"registry.example/mesh/linkerd2-py-{name}" for name in ("controller", "proxy")
    }


def test_an_issuer_of_somebody_else(cli: Cli, tmp_path: Path) -> None:
    anchors = write_trust(tmp_path)[0]
    status, out, _ = cli("install", "--ignore-cluster", "--identity-external-issuer", anchors)
    assert status == 0
    assert not any(one["metadata"]["name"] == ISSUER[1] for one in objects(out))
