"""`doc`: the reference of commands, annotations and variables, as YAML for whoever makes pages of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from linkerd2_py.cli import PROGRAM, output
from linkerd2_py.cli.options import output_option

_FORMS: Final = ("yaml", "json")
_MARK: Final = f"# Written by `{PROGRAM} doc`."
Document = dict[str, Any]


def doc(
    form: Annotated[str, output_option(*_FORMS)] = "yaml",
) -> None:
    """Print what there is to say: commands with their flags, annotations, variables of a proxy."""
    output.one_of(form, allowed=_FORMS)
    found: Document = {
        "CLIReference": list(_commands()),
        "AnnotationsReference": list(_annotations()),
        "EnvironmentReference": list(_variables()),
    }
    if form == "json":
        output.write_json(found)
    else:
        output.write(_MARK)
        output.write_yaml(found)


def _commands() -> Iterator[Document]:
    from linkerd2_py.cli.app import app

    root = typer.main.get_command(app)
    context: Any = root.context_class(root, info_name=PROGRAM)
    yield from _below(root, context)


def _below(group: Any, context: Any) -> Iterator[Document]:
    """Those of a group, each before the ones that it has itself."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        within = command.context_class(command, info_name=name, parent=context)
        if hasattr(command, "list_commands"):
            yield from _below(command, within)
        else:
            yield _command(command, within)


def _command(command: Any, context: Any) -> Document:
    usage = command.get_usage(context).removeprefix("Usage: ")
    return {
        "Name": context.command_path.removeprefix(f"{PROGRAM} "),
        "Synopsis": " ".join(usage.split()),
        "Description": (command.help or "").replace("\b\n", "").strip(),
        "Options": [
            {
                "Name": max(one.opts, key=len).lstrip("-"),
                "Shorthand": next((flag[1:] for flag in one.opts if not flag.startswith("--")), ""),
                "DefaultValue": "" if one.default in (None, False) else str(one.default),
                "Usage": one.help or "",
            }
            for one in command.get_params(context)
            if one.param_type_name == "option"
        ],
    }


def _annotations() -> Iterator[Document]:
    from linkerd2_py.controlplane.injector import names
    from linkerd2_py.controlplane.injector.overrides import OVERRIDES

    chosen = f"{names.ENABLED}, {names.DISABLED} or {names.INGRESS}"
    yield {
        "Name": names.INJECT,
        "Description": f"Whether a pod, or the pods of a namespace, get a proxy: {chosen}.",
    }
    yield {
        "Name": names.OPAQUE_PORTS,
        "Description": "Ports whose bytes are not parsed: numbers, ranges a-b, of pods also names.",
    }
    values: dict[str, list[str]] = {}
    for one in OVERRIDES:
        values.setdefault(one.annotation, []).append(one.value)
    for annotation, changed in values.items():
        what = f"value {changed[0]}" if len(changed) == 1 else f"values {' and '.join(changed)}"
        yield {
            "Name": annotation,
            "Description": f"Instead of the {what} of the chart, for a pod or a namespace.",
        }


def _variables() -> Iterator[Document]:
    from linkerd2_py.proxy.config.table import SETTINGS

    for one in SETTINGS.values():
        if one.fate == "used":
            yield {"Name": one.variable, "DefaultValue": one.shown, "Description": one.meaning}
