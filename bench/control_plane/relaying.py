"""`python -m bench.control_plane.relaying ADDRESS`: a proxy-api that asks the destination at ADDRESS each
question once. Prints where it listens, and then serves until killed.
"""

import asyncio
import sys

from linkerd2_py.base.event_loop import new_event_loop
from linkerd2_py.controlplane.listen import LOOPBACK
from linkerd2_py.controlplane.proxy_api.server import Served
from linkerd2_py.controlplane.run.components import relay_to, serve_proxy_api
from linkerd2_py.controlplane.run.own_metrics import own_metrics


async def _relay(address: str) -> None:
    with own_metrics() as metrics:
        async with relay_to(address, metrics=metrics) as relayed:
            served = [Served(name, methods) for name, methods in relayed.methods().items()]
            async with serve_proxy_api(served, listen=[LOOPBACK]) as addresses:
                print(addresses[0], flush=True)
                await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_relay(sys.argv[1]))
