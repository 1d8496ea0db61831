"""Extensions: which programs are some, who is asked, and what becomes of what they say."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from linkerd2_py.cli.checks.extensions import extension_results, is_one, programs
from linkerd2_py.cli.checks.run import Result

GOOD = {
    "categories": [
        {
            "categoryName": "linkerd-own",
            "checks": [
                {"description": "a", "result": "success"},
                {"description": "b", "result": "warning", "error": "odd", "hint": "https://x/"},
                {"description": "c", "result": "unheard of"},
            ],
        },
        {"categoryName": "empty", "checks": None},
    ]
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only one on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, *, check: str = "exit 1", metadata: object = None) -> Path:
    """An extension that says this."""
    made = folder / name
    said = "exit 1" if metadata is None else f"echo '{json.dumps(metadata)}'"
    made.write_text(f"#!/bin/sh\ncase $1 in check) {check};; *) {said};; esac\n")
    made.chmod(0o755)
    return made


def results(*installed: str) -> list[Result]:
    return list(extension_results(installed, words=["--context=far"], wait_s=60.0))


def test_the_first_on_the_path_is_the_one(folder: Path) -> None:
    (folder / "second").mkdir()
    first = program(folder, "linkerd-a-b")
    program(folder / "second", "linkerd-a-b")
    (folder / "linkerd-text").write_text("not a program")
    (folder / "linkerd-folder").mkdir()
    assert programs(f"{folder}:/nowhere::{folder}/second") == {"a-b": first}


def test_what_it_says_is_passed_on(folder: Path) -> None:
    program(folder, "linkerd-own", check=f"echo '{json.dumps(GOOD)}'; exit 1")
    assert results("own") == [
        Result("linkerd-own", "a", "success"),
        Result("linkerd-own", "b", "warning", "odd", "https://x/"),
        Result("linkerd-own", "c", "error"),
    ]


@pytest.mark.parametrize(
    ("metadata", "is_asked"),
    [
        ({"name": "linkerd-own", "checks": "always"}, True),
        ({"name": "LINKERD-OWN", "checks": "always"}, True),
        ({"name": "linkerd-own", "checks": "never"}, False),
        ({"name": "linkerd-own-v2", "checks": "always"}, False),
        ({"name": "linkerd-own", "checks": "always", "program": "linkerd2-py"}, False),
        (["linkerd-own"], False),
        (None, False),
    ],
)
def test_some_want_to_be_asked_always(folder: Path, metadata: object, *, is_asked: bool) -> None:
    program(folder, "linkerd-own", check=f"echo '{json.dumps(GOOD)}'", metadata=metadata)
    assert bool(results()) == is_asked


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("echo hello", "what it printed is not the JSON of a check"),
        ("echo '[]'", "what it printed is not the JSON of a check"),
        ("echo no such cluster >&2", "no such cluster"),
    ],
)
def test_one_that_fails_is_an_error(folder: Path, check: str, message: str) -> None:
    made = program(folder, "linkerd-own", check=check)
    title = f"Running: {made} check --context=far --output=json"
    hint = "https://linkerd.io/2/checks/#extensions"
    assert results("own") == [Result("linkerd-own", title, "error", message, hint)]


def test_one_that_is_missing_is_a_warning() -> None:
    (found,) = results("lost")
    assert (found.outcome, found.message) == (
        "warning",
        "there is no program linkerd-lost on the PATH",
    )


def test_as_an_extension_we_leave_the_others_to_who_called_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not is_one()
    monkeypatch.setattr(sys, "argv", ["/usr/bin/linkerd-py", "check"])
    assert is_one()
