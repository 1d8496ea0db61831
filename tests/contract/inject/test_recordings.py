"""Manifests that we inject and uninject are as Linkerd's command line made them, and so is what is told
of them.

Compared is what manifests mean: which image and version it is, and what Go's programs write of fields
that nobody has set, is left out. What is wrong with an input is told in one line here, without the one
that introduces it there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from linkerd2_py import __version__
from linkerd2_py.cli.main import run
from tests.support.cluster.recorded import MISSING, RECORDED

pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason=MISSING)

FOLDER = RECORDED / "inject"
DIFFERENCES = Path(__file__).parent / "differences.toml"
INTRODUCED = "Error transforming resources:\n"
UNSET = ("creationTimestamp", "resources", "status", "strategy", "updateStrategy")
VERSIONS = (__version__, "edge-26.8.3")
OURS = re.compile(
    rf"(?P<PROXY>(?:linkerd2-py-|cr\.l5d\.io/linkerd/)proxy(?=:))|(?P<CLI>linkerd(?:2-py)?/cli )"
    rf"|(?<![0-9.-])(?:{'|'.join(map(re.escape, VERSIONS))})(?![0-9.-])"
)


class Case(NamedTuple):
    """An input, and what was recorded of it."""

    name: str
    way: str
    source: Path
    result: Path

    @property
    def arguments(self) -> list[str]:
        command = "uninject" if self.way == "uninject" else "inject"
        return [command, *(["--manual"] if self.way == "manual" else []), str(self.source)]

    @property
    def status(self) -> int:
        file = self.result.with_suffix(".rc")
        # Of one it was not kept: it was sound.
        return int(file.read_text()) if file.exists() else 0

    @property
    def report(self) -> str:
        return self.result.with_suffix(".report").read_text()


def cases() -> Iterator[Case]:
    for uninjected in sorted(FOLDER.glob("*.uninject.yml")):
        name = uninjected.name.removesuffix(".uninject.yml")
        given = FOLDER / f"{name}.input.yml"
        # Of some the input itself was not kept; it is what was left by `uninject`.
        source = given if given.exists() else uninjected
        injected, manual = FOLDER / f"{name}.yml", FOLDER / f"{name}--manual.yml"
        yield Case(name, "inject", source, injected)
        yield Case(name, "manual", source, manual)
        yield Case(name, "uninject", injected, uninjected)
        if manual.stat().st_size:
            yield Case(f"{name}--manual", "uninject", manual, uninjected)


CASES = list(cases()) if RECORDED.exists() else []


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(DIFFERENCES.read_text())["difference"]
    return found


@pytest.fixture(scope="module")
def anchors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those that the recorded control plane had."""
    file = tmp_path_factory.mktemp("anchors") / "ca-bundle.crt"
    file.write_text(_anchors(documents(FOLDER / "emojivoto--manual.yml")))
    return file


def without_tap(found: Any) -> Any:
    """Linkerd's tap is an extension with an injector of its own."""
    if isinstance(found, dict):
        return {key: without_tap(each) for key, each in found.items()}
    if isinstance(found, list):
        return [without_tap(each) for each in found if not is_of_tap(each)]
    return found


def is_of_tap(found: Any) -> bool:
    return isinstance(found, dict) and found.get("name") == "LINKERD2_PROXY_TAP_SVC_NAME"


@pytest.mark.parametrize("case", CASES, ids=[f"{one.way}-{one.name}" for one in CASES])
def test_manifest_is_as_recorded_or_listed(
    case: Case, anchors: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LINKERD_DOCKER_REGISTRY", raising=False)
    own = ["--ignore-cluster", f"--identity-trust-anchors-file={anchors}"]
    status = run(case.arguments + (own if case.way == "manual" else []))
    out, told = capfd.readouterr()

    ours = [*leaves(without_tap(documents(out))), *told_lines(told)]
    theirs = [*leaves(documents(case.result)), *told_lines(case.report)]
    assert set(compared(ours, theirs)) == expected(case)
    assert status == case.status


def test_listed_differences_are_of_recordings() -> None:
    known = {(case.way, case.name) for case in CASES}
    for one in listed():
        assert one["reason"]
        for name in one.get("cases", []):
            assert (one["way"], name) in known, name


def expected(case: Case) -> set[str]:
    """The listed differences that concern it; those of all manifests, where anything was made of it."""
    return {
        text
        for one in listed()
        if one["way"] == case.way
        and (case.name in one["cases"] if "cases" in one else case.status == 0)
        and case.name not in one.get("but", [])
        for text in one["differences"]
    }


def compared(ours: list[str], theirs: list[str]) -> Iterator[str]:
    """`+` what only ours has, `-` what only theirs has."""
    yield from (f"+ {one}" for one in ours if one not in theirs)
    yield from (f"- {one}" for one in theirs if one not in ours)


def documents(source: Path | str) -> list[Any]:
    text = source.read_text() if isinstance(source, Path) else source
    return [one for one in yaml.safe_load_all(text) if one is not None]


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Every scalar with its path. In pods it is the path from their containers and volumes on, for what
    is put into pods is the same in all.
    """
    if isinstance(value, dict) and value:
        for key, one in value.items():
            if not (key in UNSET and not one):
                short = key in ("containers", "initContainers", "volumes")
                yield from leaves(one, key if short else f"{path}.{key}")
    elif isinstance(value, list) and value:
        named = [one["name"] if isinstance(one, dict) and "name" in one else "" for one in value]
        if all(named):
            yield f"{path}: {' '.join(named)}"
        for number, one in enumerate(value):
            yield from leaves(one, f"{path}[{named[number] if all(named) else number}]")
    else:
        yield f"{path} = {re.sub(OURS, _same, str(value)) if isinstance(value, str) else value!r}"


def told_lines(text: str) -> list[str]:
    """Without who says it, and where files are."""
    said = text.removeprefix(INTRODUCED).removeprefix("linkerd2-py: ").replace(f"{FOLDER}/", "")
    return [f"told: {line}" for line in said.splitlines() if line]


def _same(found: re.Match[str]) -> str:
    return "VERSION" if found[0] in VERSIONS else found.lastgroup or ""


def _anchors(documents: list[Any]) -> str:
    pod = next(one for one in documents if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    proxy = next(one for one in pod["initContainers"] if one["name"] == "linkerd-proxy")
    found = {one["name"]: one.get("value", "") for one in proxy["env"]}
    return found["LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"]
