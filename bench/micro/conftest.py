"""What `pytest bench/micro` needs beyond the tests' own packages."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(
            "pytest-benchmark is not installed: .venv/bin/pip install -e '.[bench]'"
        )
