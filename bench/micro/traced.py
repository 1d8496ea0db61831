"""The same exchanges in a trace, through a proxy whose spans somebody collects."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.micro.messages import SIDECAR_REQUEST
from bench.micro.proxied import Proxy, Run, http1_through
from linkerd2_py._ext.observers.spans import Spans

_TRACEPARENT = b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0%d\r\n\r\n"
_BETWEEN_TAKES = 100
_SPANS = 2


@contextmanager
def traced_exchanges(*, sampled: bool, collected: bool = True) -> Iterator[Run]:
    """Every exchange is of a trace, which is sampled or not; all spans are taken now and then."""
    with ExitStack() as held:
        proxy = Proxy(held, h2=False)
        spans = Spans(proxy.loop, proxy.registry)
        if collected:
            proxy.server_made.seeker = spans
        request = SIDECAR_REQUEST[:-2] + _TRACEPARENT % sampled
        with http1_through(proxy, request) as exchange:
            spans.take()

            def run(times: int) -> None:
                while times:
                    some = min(times, _BETWEEN_TAKES)
                    exchange(some)
                    taken, _ = spans.take()
                    assert taken == (_SPANS * some if sampled else 0)
                    times -= some

            yield run
        assert spans.lost.value == 0
