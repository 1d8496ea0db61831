"""What an exchange asks of the allocator once others have been before it: nothing, with a plan or without."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.wait import patience

# Sanitizers have an allocator of their own, and the assertions of a debug build are not what is delivered.
pytestmark = pytest.mark.release_only

SUPPORT = Path(__file__).parents[2] / "support"


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("counting") / "allocations.so"
    words = ["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*words, "-o", library, SUPPORT / "allocations.c"], check=True)
    return library


def allocations(case: str, counting: Path) -> list[int]:
    """For so many operations, and for twice as many."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.allocating", case],
        env={**os.environ, "LD_PRELOAD": str(counting), "PYTHONMALLOC": "malloc"},
        capture_output=True,
        text=True,
        timeout=60 * patience(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts: list[int] = json.loads(done.stdout)
    return counts


@pytest.mark.parametrize("protocol", ["http1", "http2"])
@pytest.mark.parametrize(
    "case", ["exchange-{}", "exchange-{}-paced", "inbound-{}", "inbound-{}-policed"]
)
def test_an_exchange_allocates_nothing(case: str, protocol: str, counting: Path) -> None:
    once, twice = allocations(case.format(protocol), counting)
    assert once == twice


def test_what_allocates_is_noticed(counting: Path) -> None:
    """A tap that is told of each exchange makes events."""
    once, twice = allocations("exchange-http1-told", counting)
    assert twice > once
