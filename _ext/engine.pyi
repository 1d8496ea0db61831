"""The one shared object that all modules of the engine are in."""

from importlib.machinery import ModuleSpec
from types import ModuleType

def names() -> tuple[str, ...]:
    """Full names of all modules."""

def create(spec: ModuleSpec) -> ModuleType:
    """The module that `spec` names, not yet run. ImportError when it is none of the engine."""

def execute(module: ModuleType) -> None:
    """Run a module that was created."""
