"""The commands, joined into one typer application. A command's module is imported when that command is
meant, and not before."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from linkerd2_py.cli import PROGRAM
from linkerd2_py.cli.layout import Command
from linkerd2_py.cli.options import takes_globals
from linkerd2_py.cli.quick import read_text

COMMANDS: Final = {
    "authz": "authz",
    "check": "check",
    "cni": "cni",
    "completion": "completion",
    "controller": "app",
    "dashboard": "dashboard",
    "diagnostics": "app",
    "doc": "doc",
    "edges": "edges",
    "get": "get",
    "hunt": "hunt",
    "identity": "identity",
    "identity-ca": "identity_ca",
    "inject": "inject",
    "install": "install",
    "install-cni": "install_cni",
    "local": "app",
    "profile": "profile",
    "prune": "prune",
    "routes": "routes",
    "sample": "app",
    "stat": "stat",
    "tap": "tap",
    "top": "top",
    "stat-inbound": "stat_inbound",
    "stat-outbound": "stat_outbound",
    "uninject": "uninject",
    "uninstall": "uninstall",
    "upgrade": "upgrade",
    "version": "version",
}
"""What a command is called in its module of `commands`; the module is called as the command."""
_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Commands(MutableMapping[str, Any]):
    """Commands by name, made when they are asked for."""

    def __getitem__(self, name: str) -> Any:
        attribute = COMMANDS[name]
        module = import_module(f"linkerd2_py.cli.commands.{name.replace('-', '_')}")
        found = getattr(module, attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=_SETTINGS)
        layout = getattr(module, "Layout", Command)
        alone.command(name, cls=layout)(takes_globals(found))
        return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __setitem__(self, name: str, command: Any) -> None:
        raise NotImplementedError("commands are listed in COMMANDS")

    def __delitem__(self, name: str) -> None:
        raise NotImplementedError("commands are listed in COMMANDS")


class _Root(TyperGroup):
    def __init__(self, *words: Any, **settings: Any) -> None:
        super().__init__(*words, **settings)
        self.commands = _Commands()

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_help(self, _ctx: Any) -> str:
        return read_text("help.txt").rstrip("\n")


app = typer.Typer(
    cls=_Root,
    name=PROGRAM,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_SETTINGS,
)


@app.callback()
@takes_globals
def root() -> None:
    """linkerd2-py: a service mesh."""
