"""`linkerd2-py network-validator`: proves that outgoing connections reach the proxy, before the workload
starts.

It listens where the proxy will, connects to an address that is nobody's, and expects the token that only
its own listener sends. It must not run as the proxy's user, whose traffic is left alone.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from linkerd2_py.base import logs
from linkerd2_py.base.streams import run_program
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.config import parse

EXIT_FAILED: Final = 95  # Linkerd's; EOPNOTSUPP
EXIT_USAGE: Final = 64  # EX_USAGE of sysexits.h
_PROGRAM: Final = "linkerd2-py network-validator"
_TOKEN_LENGTH: Final = 64
_ADVICE: Final = (
    "outgoing connections are not redirected to the proxy: are proxy-init's rules in this network"
    " namespace, and is this user"
    " not the proxy's?"
)
_NO_ROUTE: Final = (
    "nothing can be proved without a route to that address:"
    " give this network namespace a default route"
)

# Not `__name__`: run as a program, that would be `__main__`.
logger = logging.getLogger("linkerd2_py.proxy.pod.validator")


class NotRedirectedError(Exception):
    """Why the proof failed, in one line."""


class _UsageError(Exception):
    pass


def main(words: Sequence[str]) -> int:
    """0 when redirection works; 95 and a reason when it does not; 64 for wrong usage."""
    try:
        given = _parser().parse_args(words)
        logs.configure(filter_text=given.log_level, style=given.log_format)
    except (_UsageError, logs.FilterError) as error:
        sys.stderr.write(f"{_PROGRAM}: {error}\n")
        return EXIT_USAGE
    try:
        asyncio.run(_validate_in_time(given))
    except NotRedirectedError as error:
        sys.stderr.write(f"{_PROGRAM}: {error}\n")
        return EXIT_FAILED
    logger.info("validated: a connection to %s came to %s", given.connect_addr, given.listen_addr)
    return 0


async def _validate_in_time(given: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    told_to_stop: asyncio.Future[signal.Signals] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _set, told_to_stop, number)
    validating = loop.create_task(validate(given.listen_addr, connect_to=given.connect_addr))
    either: set[asyncio.Future[Any]] = {validating, told_to_stop}
    await asyncio.wait(either, timeout=given.timeout, return_when=asyncio.FIRST_COMPLETED)
    if validating.done():
        return validating.result()
    validating.cancel()
    await asyncio.wait({validating})
    if told_to_stop.done():
        raise NotRedirectedError(f"ended by {told_to_stop.result().name}")
    raise NotRedirectedError(f"no answer from {given.connect_addr} in time; {_ADVICE}")


async def validate(listen: SocketAddr, *, connect_to: SocketAddr) -> None:
    """Connect and compare. NotRedirectedError if the listener cannot be made or was not reached."""
    token = secrets.token_hex(_TOKEN_LENGTH // 2).encode()

    def on_client(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(token)
        writer.close()

    try:
        server = await asyncio.start_server(on_client, listen.host, listen.port)
    except OSError as error:
        raise NotRedirectedError(f"cannot listen on {listen}: {_reason(error)}") from error
    async with server:
        logger.debug("listening on %s, connecting to %s", listen, connect_to)
        heard = await _hear(connect_to)
    if heard != token:
        raise NotRedirectedError(f"somebody else answered for {connect_to}; {_ADVICE}")


async def _hear(address: SocketAddr) -> bytes:
    """What a server there says first."""
    try:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            return await reader.readexactly(_TOKEN_LENGTH)
        finally:
            writer.close()
    except asyncio.IncompleteReadError as error:
        return error.partial
    except OSError as error:
        advice = _NO_ROUTE if error.errno == errno.ENETUNREACH else _ADVICE
        raise NotRedirectedError(f"{address}: {_reason(error)}; {advice}") from error


def _set(future: asyncio.Future[signal.Signals], number: signal.Signals) -> None:
    if not future.done():
        future.set_result(number)


def _reason(error: OSError) -> str:
    hint = "; stop what listens there" if error.errno == errno.EADDRINUSE else ""
    return (os.strerror(error.errno) if error.errno else str(error)) + hint


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM,
        description="Proves that outgoing connections reach the proxy's outbound port.",
        allow_abbrev=False,
    )
    environ = os.environ
    parser.add_argument(
        "--listen-addr",
        type=_address,
        default=SocketAddr("0.0.0.0", 4140),
        metavar="IP:PORT",
        help="where the rules lead (default: 0.0.0.0:4140)",
    )
    parser.add_argument(
        "--connect-addr",
        type=_peer,
        default=SocketAddr("192.0.2.2", 1404),
        metavar="IP:PORT",
        help="an address that is nobody's (default: 192.0.2.2:1404)",
    )
    parser.add_argument(
        "--timeout", type=_timeout, default=10.0, metavar="DURATION", help="(default: 10s)"
    )
    parser.add_argument(
        "--log-level",
        default=environ.get("LINKERD_VALIDATOR_LOG_LEVEL", "info"),
        metavar="FILTER",
        help="(default: $LINKERD_VALIDATOR_LOG_LEVEL or info)",
    )
    parser.add_argument(
        "--log-format",
        choices=("plain", "json"),
        default=environ.get("LINKERD_VALIDATOR_LOG_FORMAT", "plain"),
        help="(default: $LINKERD_VALIDATOR_LOG_FORMAT or plain)",
    )
    return parser


def _address(text: str) -> SocketAddr:
    try:
        return parse.socket_addr(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _peer(text: str) -> SocketAddr:
    address = _address(text)
    if address.port == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: port 0 cannot be connected to")
    return address


def _timeout(text: str) -> float:
    try:
        return parse.positive_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(run_program(_PROGRAM, lambda: main(sys.argv[1:])))
