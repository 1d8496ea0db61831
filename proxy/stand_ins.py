"""Stand-ins for modules that others import and this process does not use: they would be 6 MiB in every
pod, and a tenth of the time to start.

`ssl`: asyncio does without; uvloop names a few members when it is imported. Those are here, and nothing
else is. All others are loaded after all when somebody asks them for anything: protobuf's pure Python
twin, imported even where the C library does its work, and what prints tracebacks.
"""

from __future__ import annotations

import importlib
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
# Named by modules we import, and used by functions of theirs that we do not call, or only when something
# goes wrong.
_RARELY_USED: Final = (
    "asyncio.sslproto",
    "calendar",
    "google.protobuf.internal.python_message",
    "textwrap",
    "tokenize",
)


def stand_in() -> None:
    """Let the imports that follow find the stand-ins, where the real modules are not loaded already."""
    sys.modules.setdefault("ssl", _ssl())
    for name in _RARELY_USED:
        sys.modules.setdefault(name, _loaded_on_demand(name))


class SSLContext:
    """Nothing is an instance of it: loops ask whether an `ssl=` argument is one."""

    def __init__(self, *_: object) -> None:
        refuse()


def refuse(*_: object, **__: object) -> NoReturn:
    """Whoever wants TLS from Python here is told why there is none."""
    raise NotImplementedError("the proxy process has no Python TLS")


def _ssl() -> ModuleType:
    module = ModuleType("ssl", "See linkerd2_py.proxy.stand_ins.")
    for name in _ERRORS:
        setattr(module, name, type(name, (OSError,), {"__module__": "ssl"}))
    for name, number in _NUMBERS.items():
        setattr(module, name, number)
    vars(module).update(SSLContext=SSLContext, MemoryBIO=SSLContext, create_default_context=refuse)
    return module


def _loaded_on_demand(name: str) -> ModuleType:
    module = ModuleType(name, "See linkerd2_py.proxy.stand_ins.")

    def load(attribute: str) -> object:
        # The import system itself looks for __spec__ and its like.
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if sys.modules.get(name) is module:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    vars(module)["__getattr__"] = load
    return module
