"""Taps a proxy, as a program of its own.

    python -m bench.tapper HOST:PORT --rate 100 --name NAME --anchors FILE --chain FILE --key FILE

Over mutual TLS to the proxy that proves to be NAME. Prints `{}` once the proxy has taken the call, and at
SIGTERM `{"told_per_s": …}`: the requests that it was told of whole, a second.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import grpc

from linkerd2_py.base.tap import MAX_RPS_FIELD
from linkerd2_py.proto.gen.tap_pb2 import ObserveRequest
from linkerd2_py.proto.gen.tap_pb2_grpc import TapStub

_MANY = 2**31
_EVERYTHING = ObserveRequest.Match(all=ObserveRequest.Match.Seq())


def channel_to(address: str, options: argparse.Namespace) -> grpc.Channel:
    """As who the files say."""
    credentials = grpc.ssl_channel_credentials(
        options.anchors.read_bytes(), options.key.read_bytes(), options.chain.read_bytes()
    )
    return grpc.secure_channel(
        address, credentials, options=[("grpc.ssl_target_name_override", options.name)]
    )


def main(words: Sequence[str]) -> None:
    """Until SIGTERM, or until the proxy ends it."""
    parser = argparse.ArgumentParser(prog="bench.tapper", description=__doc__)
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--rate", type=float, default=100, help="requests a second to be told of")
    parser.add_argument("--name", required=True, help="that the proxy is to prove")
    for name in ("anchors", "chain", "key"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(words)
    with channel_to(options.address, options) as channel:
        stub = TapStub(channel)  # type: ignore[no-untyped-call]
        call = stub.Observe(
            ObserveRequest(limit=_MANY, match=_EVERYTHING),
            metadata=[(MAX_RPS_FIELD, str(options.rate))],
        )
        call.initial_metadata()
        signal.signal(signal.SIGTERM, lambda *_: call.cancel())
        print("{}", flush=True)
        report(call)


def report(call: grpc.Call) -> None:
    """Reads all, and says how much it was."""
    started_s, told = time.monotonic(), 0
    try:
        for event in call:
            told += event.http.HasField("response_end")
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.CANCELLED:
            raise SystemExit(f"tapper: {error.code().name}: {error.details()}") from None
    print(json.dumps({"told_per_s": told / (time.monotonic() - started_s)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
