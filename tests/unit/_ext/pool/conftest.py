"""One rig for each test."""

from collections.abc import Iterator

import pytest

from linkerd2_py._ext.io.loop import Loop
from tests.support.endpoint_rig import Rig
from tests.support.raw_socket import RawListener


@pytest.fixture
def rig(loop: Loop) -> Iterator[Rig]:
    made = Rig(loop)
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[RawListener]:
    with RawListener() as made:
        yield made


@pytest.fixture
def nobody() -> tuple[str, int]:
    """Where nobody listens."""
    with RawListener() as gone:
        return gone.address
