"""Where a component listens, said before anything is bound."""

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; port 0 takes any that is free. The socket is made inside `inside`: in another network
    namespace, say. `secured`: what comes there without TLS is refused.
    """

    host: str = "127.0.0.1"
    port: int = 0
    inside: Callable[[], AbstractContextManager[object]] = nullcontext
    secured: bool = False


def read_listen(text: str) -> Listen:
    """`HOST:PORT` or `[V6]:PORT`; `:PORT` listens on every address, of both families where there are two.
    ValueError for anything else.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise ValueError(f"{text!r} is not an address: write HOST:PORT, or :PORT for all of them")
    every = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    return Listen(host or every, int(port))


def host_port(host: str, port: int) -> str:
    """As an authority has it: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


LOOPBACK: Final = Listen()
"""Any free port, for programs of this machine."""
