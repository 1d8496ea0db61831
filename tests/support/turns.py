"""Turns of an engine's loop that a test makes by hand."""

import select

from linkerd2_py._ext.io.loop import Loop


def settle(loop: Loop) -> None:
    """Until nothing is ready and nothing was put off. One call of `drain` does only as much as its time
    allows.
    """
    ready = select.poll()
    ready.register(loop.fileno(), select.POLLIN)
    while ready.poll(0):
        loop.drain()
