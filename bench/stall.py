"""`python -m bench.stall [LABEL_SETS]`: how long reading a full registry keeps the engine's loop from
everybody else.

An engine serves `/metrics` as the proxy does, to one client in the same thread. Each turn of its loop is
timed in CPU time of the thread, which other programs on the machine cannot lengthen. Prints one line of JSON:
the longest turn, the turns and the CPU time of the whole answer.
"""

import json
import socket
import sys
import time

from bench.micro.cases import busy_registry
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.route.local_server import LocalServer, Request

LABEL_SETS = 2000  # what the registry keeps of one family: about 60,000 series
ROUNDS = 5


def read_once(loop: Loop, address: tuple[str, int]) -> tuple[list[int], int]:
    """CPU nanoseconds of each turn during one answer, and its bytes."""
    turns: list[int] = []
    size = 0
    with socket.create_connection(address) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        client.setblocking(False)
        while True:
            began = time.thread_time_ns()
            loop.drain()
            turns.append(time.thread_time_ns() - began)
            try:
                while piece := client.recv(1 << 20):
                    size += len(piece)
            except BlockingIOError:
                continue
            return turns, size


def main(label_sets: int) -> None:
    """Several answers; of the longest turns the shortest, for the first also fills caches."""
    registry, handles = busy_registry(label_sets)
    loop = Loop(busy_wait=False)

    def answer(request: Request) -> None:
        request.respond(200, (), registry.render(time.monotonic_ns()))

    server = LocalServer(loop, on_request=answer)
    address = server.listen("127.0.0.1", 0)
    rounds = [read_once(loop, (address.host, address.port)) for _ in range(ROUNDS)]
    longest = min(max(turns) for turns, _ in rounds)
    turns, size = rounds[-1]
    server.drain()
    loop.drain()
    loop.close()
    assert len(handles) == label_sets
    print(
        json.dumps(
            {
                "stall_us": longest / 1e3,
                "turns": len(turns),
                "cpu_ms": sum(turns) / 1e6,
                "bytes": size,
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LABEL_SETS)
