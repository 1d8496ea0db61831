"""One rig for each test."""

from collections.abc import Iterator

import pytest

from linkerd2_py._ext.io.loop import Loop
from tests.support.endpoint_rig import Rig


@pytest.fixture
def rig(loop: Loop) -> Iterator[Rig]:
    made = Rig(loop)
    yield made
    made.close()
