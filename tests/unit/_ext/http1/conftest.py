"""The bench for HTTP/1 codecs."""

from collections.abc import Iterator

import pytest

from tests.support.http1_bench import Bench, running_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    yield from running_bench()
