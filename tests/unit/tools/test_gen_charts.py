"""What is generated of the charts."""

from __future__ import annotations

import pytest

from tools.gen_charts import generated


@pytest.mark.parametrize(
    ("path", "text"), list(generated()), ids=lambda one: getattr(one, "name", "")
)
def test_it_is_what_the_generator_writes(path, text):
    assert path.read_text() == text, "run python tools/gen_charts.py"
