"""Where a component listens, said before anything is bound."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; port 0 takes any that is free. The socket is made inside `inside`: in another network
    namespace, say.
    """

    host: str = "127.0.0.1"
    port: int = 0
    inside: Callable[[], AbstractContextManager[object]] = nullcontext


def host_port(host: str, port: int) -> str:
    """As an authority has it: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


LOOPBACK: Final = Listen()
"""Any free port, for programs of this machine."""
