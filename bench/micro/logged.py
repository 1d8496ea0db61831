"""The same exchanges while each is written into an access log that takes all lines."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.micro.proxied import Proxy, Run, http1_through
from linkerd2_py._ext.observers.access_log import AccessLog
from linkerd2_py._ext.observers.lines import Lines


@contextmanager
def logged_exchanges(*, json: bool) -> Iterator[Run]:
    """Of a proxy with an access log."""
    with ExitStack() as held:
        proxy = Proxy(held, h2=False)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        held.callback(os.close, nowhere)
        lines = Lines(proxy.loop, proxy.registry, fd=nowhere, asks=False)
        held.callback(lines.close)
        proxy.server_made.seeker = AccessLog(proxy.loop, lines, json=json)
        with http1_through(proxy) as run:
            yield run
        assert lines.lost.value == 0
