"""protobuf without its Python half: generated modules make the classes of messages in C, each when it is
first asked for.

What stands here for the library's own modules is what generated code and the C library call of them; who
wants more of them gets them.
"""

from __future__ import annotations

import importlib
import os
import sys

from linkerd2_py.proxy.stand_ins.lazy import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIBRARY = "google.protobuf"
_CHOICE = "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"
_NATIVE = "upb"
_DURATION = f"{_LIBRARY}.Duration"


class Duration:
    """What a Duration can do beside being a message."""

    __slots__ = ()

    seconds: int
    nanos: int

    def ToNanoseconds(self) -> int:  # noqa: N802  # as in the library
        """All of it."""
        return self.seconds * 1_000_000_000 + self.nanos


def stand_in_for_protobuf() -> None:
    """Where its C library is; without it the Python half has to do the work."""
    if _LIBRARY in sys.modules or (native := _native()) is None:
        return

    def declare(file: Any, _: str, module: dict[str, Any]) -> None:
        module["__getattr__"] = lambda name: _make(native, file, module, name)

    on_demand(f"{_LIBRARY}.internal.well_known_types", WKTBASES={_DURATION: Duration})
    on_demand(f"{_LIBRARY}.internal.python_message")
    on_demand(f"{_LIBRARY}.descriptor", _USE_C_DESCRIPTORS=True)
    on_demand(f"{_LIBRARY}.descriptor_pool", Default=lambda: native.default_pool)
    on_demand(f"{_LIBRARY}.symbol_database", Default=lambda: None)
    on_demand(
        f"{_LIBRARY}.internal.builder",
        BuildMessageAndEnumDescriptors=lambda *_: None,
        BuildTopDescriptorsAndMessages=declare,
    )


def _native() -> Any:
    """The C library; None where it is not, or where another is asked for."""
    if os.environ.get(_CHOICE, _NATIVE) != _NATIVE:
        return None
    try:
        return importlib.import_module("google._upb._message")
    except ImportError:
        return None


def _make(native: Any, file: Any, module: dict[str, Any], name: str) -> object:
    """The class of the message, the enum or the number called `name` in `file`, kept in `module`."""
    if (message := file.message_types_by_name.get(name)) is not None:
        base = importlib.import_module(f"{_LIBRARY}.message").Message
        said = {"DESCRIPTOR": message, "__module__": module["__name__"], "__qualname__": name}
        # One class a message: this one, or what was made of it for a field of another.
        made = native.MessageMeta(name, (base,), said)
    elif (enum := file.enum_types_by_name.get(name)) is not None:
        made = importlib.import_module(f"{_LIBRARY}.internal.enum_type_wrapper").EnumTypeWrapper(
            enum
        )
    else:
        made = _number(file, module["__name__"], name)
    module[name] = made
    return made


def _number(file: Any, module: str, name: str) -> int:
    for enum in file.enum_types_by_name.values():
        if (value := enum.values_by_name.get(name)) is not None:
            return int(value.number)
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
