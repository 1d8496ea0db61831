"""A loop per test, both ways of making a batch of calls."""

from collections.abc import Iterator

import pytest

from linkerd2_py._ext.io.loop import Loop
from tests.support.raw_socket import RawListener


class Failures(list[str]):
    """What the loop reported; a test that expects failures empties it."""


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture(params=[True, False], ids=["io_uring", "one-by-one"])
def loop(request: pytest.FixtureRequest, failures: Failures) -> Iterator[Loop]:
    """Both ways of making a batch of calls; they must not differ in anything a session can see."""
    loop = Loop(io_uring=request.param)
    if request.param and not loop.stats()["io_uring"]:
        loop.close()
        pytest.skip("the kernel offers no io_uring")
    loop.on_error = lambda error, actor: failures.append(f"{type(actor).__name__}: {error!r}")
    yield loop
    loop.close()
    assert not failures


@pytest.fixture
def listener() -> Iterator[RawListener]:
    with RawListener() as made:
        yield made


@pytest.fixture
def nobody() -> tuple[str, int]:
    """Where nobody listens."""
    with RawListener() as gone:
        return gone.address
