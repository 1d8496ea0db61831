"""Modules that are loaded when somebody asks for what they have.

Nothing here may import `typing`, which is stood in for itself.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from types import ModuleType


def on_demand(name: str, *, later: Iterable[str] = (), **there: object) -> ModuleType:
    """Stand in for the module `name`, unless it is loaded: `there` are members that need nothing of it,
    `later` functions or classes that load it when they are used rather than when they are named, and
    anything else loads it at once.
    """
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name, "See linkerd2_py.proxy.stand_ins.")
    members = {each: Later(module, each) for each in later}

    def load(attribute: str) -> object:
        # The import system itself looks for __spec__ and its like.
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(real(module), attribute)

    vars(module).update(members, **there, __getattr__=load)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], child, module)
    return module


def real(module: ModuleType) -> ModuleType:
    """What `module` stands for, loaded."""
    name = module.__name__
    if sys.modules.get(name) is module:
        del sys.modules[name]
        try:
            importlib.import_module(name)
        except BaseException:
            sys.modules[name] = module
            raise
    return sys.modules[name]


class Later:
    """A function or class of a module that is not loaded before it is called or asked for a member."""

    __slots__ = ("_module", "_name")

    def __init__(self, module: ModuleType, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *words: object, **named: object) -> object:
        return getattr(real(self._module), self._name)(*words, **named)

    def __getattr__(self, attribute: str) -> object:
        return getattr(getattr(real(self._module), self._name), attribute)
