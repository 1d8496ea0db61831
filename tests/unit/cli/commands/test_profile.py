"""`profile`: what is printed for whom, and what is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from linkerd2_py.cli.main import run

Profile = Callable[..., tuple[int, str, str]]
OPENAPI = "basePath: /api\npaths: {/list: {get: {}}, /vote: {get: {}}}\n"
EXPECTED = """\
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata:
  name: web-svc.emojivoto.svc.cluster.local
  namespace: emojivoto
spec:
  routes:
  - condition:
      method: GET
      pathRegex: /api/list
    name: GET /api/list
  - condition:
      method: GET
      pathRegex: /api/vote
    name: GET /api/vote
"""


@pytest.fixture
def profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Profile:
    """Status and outputs, in a folder with files and without a cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "web.yaml").write_text(OPENAPI)
    (tmp_path / "voting.proto").write_text("package v1; service V { rpc A (B) returns (C); }")
    (tmp_path / "latin").write_bytes(b"\xe9")

    def ask(*words: str) -> tuple[int, str, str]:
        status = run(["profile", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return ask


def test_from_openapi(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("web-svc", "-n", "emojivoto")
    assert profile(*words, "--open-api", "web.yaml") == (0, EXPECTED, "")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(OPENAPI.encode())))
    assert profile(*words, "--open-api", "-") == (0, EXPECTED, "")
    _, out, _ = profile(*words, "--open-api", "web.yaml", "-o", "json")
    assert json.loads(out) == yaml.safe_load(EXPECTED)


def test_from_protobuf(profile: Profile) -> None:
    _, out, _ = profile("voting-svc", "--proto", "voting.proto")
    found = yaml.safe_load(out)
    assert found["metadata"] == {
        "name": "voting-svc.default.svc.cluster.local",
        "namespace": "default",
    }
    assert found["spec"]["routes"][0]["condition"]["pathRegex"] == "/v1.V/A".replace(".", r"\.")


def test_one_to_be_filled_in_is_one(profile: Profile) -> None:
    _, out, _ = profile("web-svc", "-n", "shop", "--template")
    assert "web-svc.shop.svc.cluster.local: replace the example" in out
    found = yaml.safe_load(out)
    assert found["metadata"]["namespace"] == "shop"
    assert json.loads(profile("web-svc", "-n", "shop", "--template", "-o", "json")[1]) == found


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("web-svc", 2, "give one of --template, --open-api FILE, --proto FILE or --tap RESOURCE"),
        ("web-svc --template --proto voting.proto", 2, "give one of --template"),
        ("web.shop --template", 2, "'web.shop' is not the name of a service"),
        ("Web --template", 2, "'Web' is not the name of a service"),
        ("web --template -n a/b", 2, "'a/b' is not a valid namespace"),
        ("web --template -o table", 2, "-o: 'table'"),
        ("web --proto nowhere", 1, "nowhere: cannot be read: No such file"),
        ("web --proto .", 1, ".: cannot be read: Is a directory"),
        ("web --open-api latin", 1, "latin: is not text in UTF-8"),
        ("web --template --kubeconfig nowhere", 1, "--kubeconfig: there is no file nowhere"),
    ],
)
def test_refusals_are_one_line(profile: Profile, words: str, status: int, message: str) -> None:
    found = profile(*words.split())
    assert (found[0], found[1], found[2].count("\n")) == (status, "", 1)
    assert message in found[2]
