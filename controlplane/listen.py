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


LOOPBACK: Final = Listen()
"""Any free port, for programs of this machine."""
