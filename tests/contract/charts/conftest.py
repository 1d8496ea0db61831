"""Charts are compared with what Helm makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cluster import programs
from tests.support.helm import Helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    if not programs.TOOLS.built():
        pytest.skip("Helm is not built: ./mesh cluster build")
    home: Path = tmp_path_factory.mktemp("helm")
    return Helm(home)
