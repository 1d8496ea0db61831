"""Objects as YAML that every reader reads alike.

Readers differ in what they take for a number or a truth (`1e3`, `y`, `0o7`): a text that is not plainly
one is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import yaml

PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./*-]*(:[A-Za-z0-9_./-]+)*")
"""Texts that need no quotes, unless they are one of the words."""
WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_BASE: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def is_plain(text: str) -> bool:
    """Whether every reader reads this text as itself."""
    return PLAIN.fullmatch(text) is not None and text.lower() not in WORDS


class _Dumper(_BASE):
    """Texts of several lines as blocks, all others quoted where there is any doubt."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    style = None if is_plain(text) else '"'
    if (
        text.count("\n") > (text[-1:] == "\n")
        and text.isascii()
        and not re.search(r"\s\n|^\s", text)
    ):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(objects: Iterable[Any]) -> str:
    """One document for each."""
    return yaml.dump_all(
        objects,
        Dumper=_Dumper,
        default_flow_style=False,
        allow_unicode=True,
        explicit_start=True,
        sort_keys=False,
        width=10_000,
    )
