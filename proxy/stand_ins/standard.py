"""Modules of the standard library that asyncio, uvloop and logging name, and that a proxy at work has no use
for: other processes, Python's own TLS, what looks at source code, what prints tracebacks.
"""

from __future__ import annotations

import sys
from types import FunctionType, GeneratorType, MethodType, ModuleType

from linkerd2_py.proxy.stand_ins.lazy import on_demand

_IS_COROUTINE = 0x80
"""CO_COROUTINE of `inspect`: a flag of a code object."""
_ERRORS = (
    "SSLError", "SSLWantReadError", "SSLSyscallError", "SSLZeroReturnError", "CertificateError",
)  # fmt: skip
_NUMBERS = {
    "SSL_ERROR_WANT_READ": 2,
    "SSL_ERROR_WANT_WRITE": 3,
    "SSL_ERROR_SYSCALL": 5,
}
_WAITS = ("FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED")


def stand_in_for_standard_library() -> None:
    """Of the standard library, all but asyncio and typing."""
    sys.modules.setdefault("ssl", _ssl())
    on_demand(
        "inspect",
        isgenerator=lambda what: isinstance(what, GeneratorType),
        iscoroutinefunction=_is_coroutine_function,
    )
    on_demand(
        "traceback",
        later=(
            "StackSummary", "extract_stack", "format_list", "print_exception", "print_stack",
            "walk_stack",
        ),
    )  # fmt: skip
    on_demand("linecache")
    on_demand("selectors")
    on_demand("calendar")
    error = type("SubprocessError", (Exception,), {"__module__": "subprocess"})
    on_demand("subprocess", PIPE=-1, STDOUT=-2, DEVNULL=-3, SubprocessError=error)
    import concurrent  # noqa: F401, PLC0415  # an empty package

    # Nobody here makes a future of threads; loops ask whether what they got is one.
    future = type("Future", (), {"__module__": "concurrent.futures"})
    waits = {name: name for name in _WAITS}
    on_demand("concurrent.futures", later=("ThreadPoolExecutor",), Future=future, **waits)


class SSLContext:
    """Nothing is an instance of it: loops ask whether an `ssl=` argument is one."""

    def __init__(self, *_: object) -> None:
        refuse()


def refuse(*_: object, **__: object) -> object:
    """Whoever wants TLS from Python here is told why there is none."""
    raise NotImplementedError("the proxy process has no Python TLS")


def _ssl() -> ModuleType:
    module = ModuleType("ssl", "See linkerd2_py.proxy.stand_ins.")
    for name in _ERRORS:
        setattr(module, name, type(name, (OSError,), {"__module__": "ssl"}))
    for name, number in _NUMBERS.items():
        setattr(module, name, number)
    vars(module).update(dict.fromkeys(("MemoryBIO", "SSLContext", "SSLSocket"), SSLContext))
    vars(module).update(create_default_context=refuse)
    return module


def _is_coroutine_function(what: object) -> bool:
    """As `inspect` answers; loops ask it of each signal's handler."""
    while isinstance(what, MethodType):
        what = what.__func__
    return isinstance(what, FunctionType) and bool(what.__code__.co_flags & _IS_COROUTINE)
