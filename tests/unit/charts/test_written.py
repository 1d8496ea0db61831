"""YAML that is written."""

from __future__ import annotations

import pytest
import yaml

from linkerd2_py.charts.written import as_yaml


@pytest.mark.parametrize(
    "text",
    [
        "1e3",
        "y",
        "0o7",
        "0x1f",
        "",
        " a",
        "a: b",
        "é",
        "\u2028",
        "a\nb\n",
        "a\nb",
        " a\nb",
        "a \nb",
        "\n",
    ],
)
def test_texts_come_back(text):
    assert yaml.safe_load(as_yaml([{"a": text}])) == {"a": text}


@pytest.mark.parametrize("text", ["1e3", "y", "N", "0o7", "1_000", "=", "~"])
def test_what_somebody_may_take_for_something_else_is_quoted(text):
    assert as_yaml([{"a": text}]) == f'---\na: "{text}"\n'


def test_texts_of_several_lines_are_blocks_and_nothing_is_shared():
    shared = {"key": "value"}
    assert as_yaml([{"a": "x: 1\ny\n", "b": shared, "c": shared}, "end"]) == (
        "---\na: |\n  x: 1\n  y\nb:\n  key: value\nc:\n  key: value\n--- end\n"
    )
