"""The engine: mechanism in Cython under the shell's policy. README.md has its rules.

Bytes arrive on a `Transport` (`io`), `detect` names their protocol, a codec (`http1`, `http2`) cuts them into
exchanges (`exchange`), `route` finds the target of each, `balance` and `pool` its endpoint and a connection
to it; `metrics` counts on the way and `core` is what all of them stand on.

All modules are in one shared object, `engine`: one file to map and to relocate, where each with its own would
cost a pod another MiB and a tenth of the time to start.
"""

import sys
from importlib.machinery import ModuleSpec

from linkerd2_py._ext import engine


class _Modules:
    """Finds and loads what is in `engine`."""

    names = frozenset(engine.names())
    create_module = staticmethod(engine.create)
    exec_module = staticmethod(engine.execute)

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """Where the module is, if it is one of the engine's."""
        if name not in self.names:
            return None
        # Where an interpreter puts no loader of its own, anything that has these two methods is one.
        return ModuleSpec(name, self, origin=engine.__file__)  # type: ignore[arg-type]


sys.meta_path.insert(0, _Modules())
