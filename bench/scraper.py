"""Reads a proxy's metrics again and again, as a program of its own.

    python -m bench.scraper HOST:PORT [--pause S]

Each scrape asks anew over a new connection and throws the text away in the kernel, so that reading costs next
to nothing. Prints `{"ms": …, "bytes": …}` for each.
"""

import argparse
import json
import signal
import socket
import sys
import time
from collections.abc import Sequence

_PIECE = 1 << 20
_BUFFER = memoryview(bytearray(_PIECE))


def scrape(address: str) -> tuple[float, int]:
    """Seconds and bytes of one scrape, head included."""
    host, _, port = address.rpartition(":")
    request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    started_s = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(request)
        head = client.recv(4096)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"scraper: {address} answered {head[:40]!r}")
        size = len(head)
        while taken := client.recv_into(_BUFFER, _PIECE, socket.MSG_TRUNC):
            size += taken
    return time.monotonic() - started_s, size


def main(words: Sequence[str]) -> None:
    """Until SIGTERM."""
    parser = argparse.ArgumentParser(prog="bench.scraper", description=__doc__)
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--pause", type=float, default=0.1, metavar="S", help="between scrapes")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        seconds, size = scrape(options.address)
        print(json.dumps({"ms": seconds * 1e3, "bytes": size}), flush=True)
        time.sleep(options.pause)


if __name__ == "__main__":
    main(sys.argv[1:])
