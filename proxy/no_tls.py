"""A stand-in for Python's `ssl`, which would be 5 MiB in every pod: this process never uses TLS of Python's.

asyncio does without `ssl`. uvloop names a few of its members when it is imported; those are here, and nothing else is.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Final, NoReturn

_ERRORS: Final = (
    "SSLError", "SSLWantReadError", "SSLSyscallError", "SSLZeroReturnError", "CertificateError",
)  # fmt: skip
_NUMBERS: Final = {
    "SSL_ERROR_WANT_READ": 2,
    "SSL_ERROR_WANT_WRITE": 3,
    "SSL_ERROR_SYSCALL": 5,
}


class SSLContext:
    """Nothing is an instance of it: loops ask whether an `ssl=` argument is one."""

    def __init__(self, *_: object) -> None:
        refuse()


def refuse(*_: object, **__: object) -> NoReturn:
    """Whoever wants TLS from Python here is told why there is none."""
    raise NotImplementedError("the proxy process has no Python TLS")


def stand_in() -> None:
    """Let `import ssl` find the stand-in, unless the real one is loaded already."""
    module = ModuleType("ssl", __doc__)
    for name in _ERRORS:
        setattr(module, name, type(name, (OSError,), {"__module__": "ssl"}))
    for name, number in _NUMBERS.items():
        setattr(module, name, number)
    vars(module).update(SSLContext=SSLContext, MemoryBIO=SSLContext, create_default_context=refuse)
    sys.modules.setdefault("ssl", module)
