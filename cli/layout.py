"""How help is laid out: in words that a person types, not in types of Python, and none of them cut off."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

_WHOLE: Final = 1000
"""Longer than any first sentence."""


class Command(TyperCommand):
    """One command."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        arguments = [one for one in self.get_params(ctx) if one.param_type_name == "argument"]
        return ["[OPTION]...", *map(_usage, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments first."""
        shown = [one for one in self.get_params(ctx) if not getattr(one, "hidden", False)]
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            rows = [_row(one, ctx) for one in shown if one.param_type_name == kind]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Group(TyperGroup):
    """Commands under a common name."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """With their whole first sentences."""
        names = self.list_commands(ctx)
        rows = [(name, _summary(self.get_command(ctx, name))) for name in names]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _summary(command: Any) -> str:
    return str(command.get_short_help_str(_WHOLE))


def _usage(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    several = name if argument.nargs == 1 or name.endswith("…") else f"{name}..."
    return several if argument.required else f"[{several}]"


def _row(parameter: Any, ctx: Any) -> tuple[str, str]:
    name, text = parameter.get_help_record(ctx)
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    return name, text.replace("  [required]", "")
