"""A lab for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.pods import Pods, pods


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Pods]:
    async with pods(tmp_path) as made:
        yield made
