"""python -m tests.support.allocating CASE: how often exchanges of one kind ask malloc for memory, once so many
of them and once twice as many. `allocations.c` must be preloaded, and Python must have no
memory of its own (PYTHONMALLOC=malloc), so that each object is counted.
"""

import ctypes
import gc
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from bench.micro.policed import inbound_exchanges
from bench.micro.proxied import Run, http1_exchanges, http2_exchanges
from bench.micro.tapped import watched_exchanges

TIMES = 500
ROUTES = 10
CASES: dict[str, Callable[[], AbstractContextManager[Run]]] = {
    "exchange-http1": http1_exchanges,
    "exchange-http2": http2_exchanges,
    "exchange-http1-paced": partial(http1_exchanges, policy=ROUTES, paced=True),
    "exchange-http2-paced": partial(http2_exchanges, policy=ROUTES, paced=True),
    "inbound-http1": partial(inbound_exchanges, policed=False, h2=False),
    "inbound-http2": partial(inbound_exchanges, policed=False, h2=True),
    "inbound-http1-policed": partial(inbound_exchanges, policed=True, h2=False),
    "inbound-http2-policed": partial(inbound_exchanges, policed=True, h2=True),
    "exchange-http1-told": partial(watched_exchanges, told=True),
}


def main(name: str) -> None:
    preloaded = ctypes.CDLL(None)
    preloaded.l5d_allocations.restype = ctypes.c_ulong
    counts = []
    with CASES[name]() as run:
        gc.disable()
        # What is made once and kept for others: exchanges, heads, buffers, series.
        run(TIMES)
        for times in (TIMES, 2 * TIMES):
            before = preloaded.l5d_allocations()
            run(times)
            counts.append(preloaded.l5d_allocations() - before)
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1])
