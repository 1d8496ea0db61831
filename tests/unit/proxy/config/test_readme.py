"""The README's configuration tables say what the proxy knows, no more and no less."""

import re
from pathlib import Path

import pytest

from linkerd2_py.proxy.config.table import SETTINGS
from tools.document_settings import replaced

README = Path(__file__).parents[4] / "README.md"
NO_DEFAULT = "—"
MISSED = "Known and checked, but not used yet"
LATER = "Accepted without effect"
REFUSED = "Refused by name"


def _section() -> str:
    text = README.read_text(encoding="utf-8")
    return text[text.index("## The proxy's configuration") : text.index("## Metrics")]


def _quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _paragraph(start: str) -> list[str]:
    found = re.search(rf"^{start}.*?\n\n", _section(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return _quoted(found[0])


def _missed() -> list[str]:
    """The variables of the second table."""
    section = _section()
    table = section[section.index(MISSED) : section.index(LATER)]
    return re.findall(r"^\| `([A-Z].*?)` \| .+ \|$", table, re.MULTILINE)


def _rows() -> list[tuple[str, str]]:
    """Every variable of the first table with the text of its default."""
    found: list[tuple[str, str]] = []
    table = _section().partition(MISSED)[0]
    for names, default in re.findall(r"^\| (`[A-Z].*?) \| (.*?) \|", table, re.MULTILINE):
        listed = _quoted(names)
        defaults = _quoted(default) or [NO_DEFAULT]
        found += zip(
            listed, defaults * len(listed) if len(defaults) == 1 else defaults, strict=True
        )
    return found


def test_every_variable_is_there_once() -> None:
    used = [name for name, _ in _rows()]
    documented = used + _missed() + _paragraph(LATER) + _paragraph(REFUSED)
    assert sorted(documented) == sorted(SETTINGS)
    assert {name for name in used if SETTINGS[name].fate != "used"} == set()
    assert {name for name in _missed() if SETTINGS[name].fate != "missed"} == set()
    assert {name for name in _paragraph(LATER) if SETTINGS[name].fate != "ignored"} == set()


def test_the_tables_are_those_of_the_declarations() -> None:
    assert replaced(README.read_text(encoding="utf-8")) == README.read_text(encoding="utf-8"), (
        "run `python tools/document_settings.py`"
    )


@pytest.mark.parametrize(("name", "default"), _rows())
def test_the_default_is_the_proxys(name: str, default: str) -> None:
    setting = SETTINGS[name]
    if default == NO_DEFAULT:
        assert not setting.default
    else:
        assert setting.parse(default) == setting.default


@pytest.mark.parametrize("name", _paragraph(REFUSED))
def test_what_is_said_to_be_refused_is(name: str) -> None:
    with pytest.raises(ValueError, match="available"):
        SETTINGS[name].parse("true")
