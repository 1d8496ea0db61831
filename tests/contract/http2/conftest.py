"""A scene per test, and a look for exceptions that the loop swallowed."""

from collections.abc import Iterator

import pytest

from linkerd2_py._ext.io.loop import Loop
from tests.contract.http2.peers import Scene


@pytest.fixture
def failures() -> list[str]:
    """What the loop reported; a test that expects failures empties it."""
    return []


@pytest.fixture
def scene(failures: list[str]) -> Iterator[Scene]:
    loop = Loop()
    loop.on_error = lambda error, actor: failures.append(f"{type(actor).__name__}: {error!r}")
    scene = Scene(loop)
    yield scene
    scene.close()
    assert not failures
