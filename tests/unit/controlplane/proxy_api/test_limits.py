"""One proxy's streams are bounded, others' are not touched by it."""

import pytest

from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter, TooManyStreamsError


def test_a_peer_beyond_its_limit_is_refused_until_a_stream_ends() -> None:
    limiter = StreamLimiter(limit=1)
    limiter.take("a")
    with pytest.raises(TooManyStreamsError):
        limiter.take("a")
    limiter.take("b")
    assert limiter.peers == 2
    limiter.give_back("b")
    limiter.give_back("a")
    limiter.take("a")
    assert limiter.peers == 1
    limiter.give_back("a")
    assert limiter.peers == 0
