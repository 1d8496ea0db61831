"""Which logs are meant, and what they gained."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.logs import LogReader, Selection, follow, select

STEMS = (
    "control-plane",
    "ingress-0-proxy",
    "web-0",
    "web-0-proxy",
    "web-1",
    "vote-bot-0",
    "cart-0-proxy-init",
    "cart-0-network-validator",
    "cart-0-network-validator-ipv6",
    "cart-0-proxy",
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for stem in STEMS:
        (tmp_path / f"{stem}.log").write_text(f"{stem} one\n{stem} two\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "container", "stems"),
    [
        ("", "", set(STEMS)),
        ("web-0", "", {"web-0", "web-0-proxy"}),
        ("web-0", "app", {"web-0"}),
        ("web-0", "proxy", {"web-0-proxy"}),
        ("web", "app", {"web-0", "web-1"}),
        ("deploy/web", "", {"web-0", "web-1", "web-0-proxy"}),
        ("po/web-1", "", {"web-1"}),
        ("vote-bot", "", {"vote-bot-0"}),
        ("", "proxy", {"web-0-proxy", "ingress-0-proxy", "cart-0-proxy"}),
        ("cart-0", "", {stem for stem in STEMS if stem.startswith("cart-0")}),
        ("deploy/cart", "init", {s for s in STEMS if s.startswith("cart-0-") and s[7:] != "proxy"}),
        ("control-plane", "", {"control-plane"}),
    ],
)
def test_selection(directory: Path, name: str, container: str, stems: set[str]) -> None:
    assert {path.stem for path in select(directory, Selection(name, container))} == stems


def test_an_unknown_pod_names_those_that_are_there(directory: Path) -> None:
    with pytest.raises(CliError, match=r"no log of api-0; there are: cart-0-network-validator"):
        select(directory, Selection("api-0"))


def test_one_log_is_plain_and_several_are_named(directory: Path) -> None:
    paths = select(directory, Selection("web", "app"))
    assert LogReader(paths[:1], tail=None).read() == ["web-0 one", "web-0 two"]
    assert LogReader(paths, tail=1).read() == ["[web-0] web-0 two", "[web-1] web-1 two"]


def test_only_what_was_gained_is_read_again(directory: Path) -> None:
    path = directory / "web-0.log"
    reader = LogReader([path], tail=0)
    assert reader.read() == []
    with path.open("a") as file:
        file.write("three\nhalf a li")
    assert reader.read() == ["three"]
    with path.open("a") as file:
        file.write("ne\n")
    assert reader.read() == ["half a line"]


def test_a_log_that_was_started_over_is_read_from_its_beginning(directory: Path) -> None:
    path = directory / "web-0.log"
    reader = LogReader([path], tail=None)
    reader.read()
    path.write_text("new\n")
    assert reader.read() == ["new"]
    path.unlink()
    assert reader.read() == []


def test_following_goes_on_until_interrupted(directory: Path) -> None:
    shown: list[str] = []

    def show(lines: object) -> None:
        assert isinstance(lines, list)
        shown.extend(lines)
        if len(shown) > 2:
            raise KeyboardInterrupt
        with (directory / "web-0.log").open("a") as file:
            file.write("more\n")

    with pytest.raises(KeyboardInterrupt):
        follow(LogReader([directory / "web-0.log"], tail=None), show=show)
    assert shown == ["web-0 one", "web-0 two", "more"]
