"""One run of a sidecar: environment, build, serve, drain, exit status."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from linkerd2_py._ext.core.process import forbid_dumps, take_all_descriptors
from linkerd2_py.base import logs
from linkerd2_py.base.event_loop import new_event_loop
from linkerd2_py.proxy import app, process
from linkerd2_py.proxy.config.load import ConfigError, load
from linkerd2_py.proxy.config.types import Config
from linkerd2_py.proxy.identity.certify import IdentityError
from linkerd2_py.proxy.listeners import ListenError
from linkerd2_py.proxy.log_level import LogLevel

logger = logging.getLogger(__name__)

DRAINS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
IGNORED: Final = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Each would end the process at once, and with it every exchange: what a terminal or a log rotation says
to all is no order."""
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 64  # EX_USAGE of sysexits.h

_USAGE: Final = (
    "usage: linkerd2-py proxy\n\n"
    "Runs a sidecar proxy. It takes no arguments: it is configured by LINKERD2_PROXY_* in its "
    "environment.\n"
)


def run(arguments: Sequence[str]) -> int:
    """Run a proxy until it is told to stop. Its exit status: 0 drained, 1 cannot start, 64 misconfigured."""
    if arguments:
        from linkerd2_py.base.streams import run_program  # noqa: PLC0415  # no proxy that runs needs it

        return run_program("linkerd2-py proxy", lambda: _answer_arguments(arguments))
    try:
        config = load(os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    logs.configure(filter_text=config.logs.filter_text, style=config.logs.style)
    forbid_dumps()
    # The soft limit is for programs that use select(); the engine counts on what there is when it is made.
    take_all_descriptors()
    # Until the loop has the signals, an interruption ends the process as any other does.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(config))
    except IdentityError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except ListenError as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    return 0


async def _serve(config: Config) -> None:
    loop = asyncio.get_running_loop()
    for line in config.warnings:
        logger.warning("%s", line)
    for name in config.not_used_yet:
        logger.info("%s is not used yet", name)
    proxy = app.build(config, log_level=LogLevel(config.logs.filter_text))
    try:
        for number in DRAINS:
            loop.add_signal_handler(number, _on_signal, proxy, number)
        for number in IGNORED:
            loop.add_signal_handler(number, _on_ignored, number)
        process.tame_collector(loop)
        await proxy.run()
    finally:
        proxy.close()


def _on_ignored(number: signal.Signals) -> None:
    logger.info("received %s, which means nothing to a proxy", signal.Signals(number).name)


def _on_signal(proxy: app.Proxy, number: signal.Signals) -> None:
    logger.info("received %s", signal.Signals(number).name)
    proxy.shut_down()


def _answer_arguments(arguments: Sequence[str]) -> int:
    if list(arguments) in (["--help"], ["-h"]):
        print(_USAGE, end="")
        return 0
    print(f"linkerd2-py proxy: unexpected argument {arguments[0]!r}\n{_USAGE}", file=sys.stderr)
    return EXIT_USAGE
