"""Amounts of Kubernetes."""

import pytest

from linkerd2_py.base.quantities import read_quantity, whole_cores


@pytest.mark.parametrize(
    ("text", "cores"), [("1", 1), ("1001m", 2), ("2e0", 2), ("1k", 1000), ("1Ki", 1024), (".5", 1)]
)
def test_quantities(text: str, cores: int) -> None:
    assert whole_cores(text) == cores


@pytest.mark.parametrize("text", ["", "1 ", "1mm", "m", "e3", "١", "1e999", "0x1"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        read_quantity(text)


@pytest.mark.parametrize(("text", "number"), [("100m", 0.1), ("2", 2), ("1Ki", 1024), ("3k", 3000)])
def test_how_much_it_is(text: str, number: float) -> None:
    assert float(read_quantity(text)) == number
