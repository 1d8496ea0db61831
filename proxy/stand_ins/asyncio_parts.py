"""asyncio by parts: importing the package loads only the modules of those names that are asked for.

Loops, transports and child processes of its own are most of it, and uvloop has others. A name that is not
known here loads the package as ever.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

from linkerd2_py.proxy.stand_ins.lazy import on_demand

_PARTS = {
    "coroutines": ("iscoroutine", "iscoroutinefunction"),
    "events": (
        "AbstractEventLoop", "Handle", "TimerHandle", "get_event_loop", "get_running_loop",
        "_get_running_loop", "_set_running_loop",
    ),
    "exceptions": ("CancelledError", "IncompleteReadError", "InvalidStateError", "TimeoutError"),
    "futures": ("Future", "isfuture", "wrap_future"),
    "locks": ("Event",),
    "protocols": ("BaseProtocol", "DatagramProtocol", "Protocol", "SubprocessProtocol"),
    "runners": ("Runner", "run"),
    "streams": ("StreamReader", "StreamWriter", "open_connection"),
    "tasks": (
        "ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION", "Task", "all_tasks", "current_task",
        "ensure_future", "gather", "sleep", "wait", "wait_for",
    ),
    "timeouts": ("timeout", "timeout_at"),
    "transports": ("DatagramTransport", "Transport"),
}  # fmt: skip
_PART_OF = {name: part for part, names in _PARTS.items() for name in names}
_ONLY_NAMED = ("asyncio.base_events", "asyncio.sslproto")
"""uvloop imports these, too, and uses nothing of them."""
_WATCHER = "AbstractChildWatcher"
"""uvloop asks whether there is one, and needs it for child processes only."""


def stand_in_for_asyncio() -> None:
    """Unless it is loaded."""
    if "asyncio" in sys.modules:
        return
    spec = PathFinder.find_spec("asyncio")
    if spec is None or spec.loader is None:
        raise ImportError("this Python has no asyncio", name="asyncio")
    package, loader = module_from_spec(spec), spec.loader

    def find(name: str) -> object:
        if name.startswith("__") or name == _WATCHER or _is_module(package.__path__[0], name):
            raise AttributeError(name)
        if name in _PART_OF:
            found = getattr(importlib.import_module(f"asyncio.{_PART_OF[name]}"), name)
            setattr(package, name, found)
            return found
        del package.__getattr__
        for each in _ONLY_NAMED:
            if not hasattr(sys.modules.get(each), "__file__"):
                del sys.modules[each]
        loader.exec_module(package)
        return getattr(package, name)

    vars(package)["__getattr__"] = find
    sys.modules["asyncio"] = package
    for each in _ONLY_NAMED:
        on_demand(each)


def _is_module(folder: str, name: str) -> bool:
    """The import system asks a package for its modules, too, before it looks for their files."""
    return os.path.exists(f"{folder}/{name}.py")  # noqa: PTH110  # pathlib is large
