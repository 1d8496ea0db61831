"""The same exchanges while somebody watches, or might.

The watcher is a plain end of a connection, too, which reads what it was told after each
hundred exchanges and looks at none of it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from bench.micro import frames
from bench.micro.proxied import DEADLINE_S, LOOPBACK, Connection, Proxy, Run, http1_through
from linkerd2_py._ext.route.call import Call
from linkerd2_py._ext.route.call_server import CallServer
from linkerd2_py._ext.tap.match import Matcher
from linkerd2_py._ext.tap.taps import Taps

_ALL_AT_ONCE = 1e9
_ONCE_IN_DECADES = 1e-9
_MANY = 2**31
_BETWEEN_READS = 100
# A request, its response, its end.
_EVENTS = 3


@contextmanager
def untapped_exchanges() -> Iterator[Run]:
    """Of a proxy that may be tapped, which nobody does."""
    with ExitStack() as held:
        proxy = Proxy(held, h2=False)
        proxy.server_made.seeker = Taps(proxy.loop, proxy.registry)
        with http1_through(proxy) as run:
            yield run


@contextmanager
def watched_exchanges(*, told: bool) -> Iterator[Run]:
    """Of a proxy whose every exchange somebody is told of; or nobody is, who has just been told of one."""
    with ExitStack() as held:
        proxy = Proxy(held, h2=False)
        taps = proxy.server_made.seeker = Taps(proxy.loop, proxy.registry)
        watcher = watch(held, proxy, taps, max_rps=_ALL_AT_ONCE if told else _ONCE_IN_DECADES)
        with http1_through(proxy) as exchange:
            events = events_of(proxy)

            def run(times: int) -> None:
                nonlocal events
                while times:
                    some = min(times, _BETWEEN_READS)
                    exchange(some)
                    with suppress(BlockingIOError):
                        while watcher.end.recv(1 << 20):
                            pass
                    events += _EVENTS * some if told else 0
                    times -= some
                assert events_of(proxy) == events

            yield run


def events_of(proxy: Proxy) -> int:
    """How many it has told."""
    text = b"".join(proxy.registry.render()).decode()
    return next(
        int(line.split()[1]) for line in text.splitlines() if line.startswith("tap_events_total ")
    )


def watch(held: ExitStack, proxy: Proxy, taps: Taps, *, max_rps: float) -> Connection:
    """Who taps it, and reads without limits of its own."""
    taken: list[bool] = []

    def on_call(call: Call, _path: bytes, _fields: object, _request: bytes) -> None:
        everything = Matcher(("all",))
        taken.append(taps.observe(call, everything, limit=_MANY, max_rps=max_rps))

    server = CallServer(proxy.loop, on_call=on_call)
    for close in (server.abort_all, server.drain, taps.close):
        held.callback(close)
    address = server.listen(LOOPBACK, 0)
    watcher = proxy.connect(address)
    window = frames.initial_window(frames.LARGEST_WINDOW)
    watcher.send(frames.PREFACE + window + frames.WINDOW + frames.call(1, b"/tap"))
    assert proxy.loop.run_until(lambda: bool(taken), DEADLINE_S)
    assert taken == [True]
    return watcher
