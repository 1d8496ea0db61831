"""One proxy's streams are bounded, others' are not touched by it."""

import pytest

from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter, TooManyStreamsError


def test_a_peer_beyond_its_limit_is_refused_until_a_stream_ends() -> None:
    limiter = StreamLimiter(limit=1)
    with limiter.stream("a"):
        with pytest.raises(TooManyStreamsError), limiter.stream("a"):
            pass
        with limiter.stream("b"):
            assert limiter.peers == 2
    with limiter.stream("a"):
        assert limiter.peers == 1
    assert limiter.peers == 0
