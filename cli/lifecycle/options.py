"""What commands take that make manifests of values: an option for each flag, values in general, and
certificates.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from linkerd2_py.cli.lifecycle.flags import Flag
from linkerd2_py.cli.lifecycle.making import Said
from linkerd2_py.cli.lifecycle.trust import (
    ANCHORS_FLAG,
    CERTIFICATE_FLAG,
    KEY_FLAG,
    TrustFiles,
)

Command = Callable[..., Any]
_Values = Annotated[
    list[str] | None,
    typer.Option(
        "--values",
        "-f",
        metavar="FILE",
        help="Values: a YAML file, an https URL, or - ; may be repeated.",
    ),
]
_Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="One or several values: a.b=1,c=2."),
]
_SetString = Annotated[
    list[str] | None,
    typer.Option("--set-string", metavar="PATH=WORDS", help="The same, always as text."),
]
_SetFile = Annotated[
    list[str] | None,
    typer.Option("--set-file", metavar="PATH=FILE", help="The same, from what is in a file."),
]
_AnchorsFile = Annotated[
    Path | None,
    typer.Option(ANCHORS_FLAG, metavar="FILE", help="Trust anchors, in PEM."),
]
_CertificateFile = Annotated[
    Path | None,
    typer.Option(CERTIFICATE_FLAG, metavar="FILE", help="The issuer below one of them, in PEM."),
]
_KeyFile = Annotated[
    Path | None, typer.Option(KEY_FLAG, metavar="FILE", help="The key of that issuer, in PEM.")
]
_OF_VALUES: Final[Mapping[str, Any]] = {
    "values": _Values,
    "set_": _Set,
    "set_string": _SetString,
    "set_file": _SetFile,
}
"""In the order of the fields of `Said`."""
_OF_TRUST: Final[Mapping[str, Any]] = {
    "anchors": _AnchorsFile,
    "certificate": _CertificateFile,
    "key": _KeyFile,
}
"""In the order of the fields of `TrustFiles`."""


def takes_values(flags: Sequence[Flag]) -> Callable[[Command], Command]:
    """A command with an option for each of these flags beside those of values in general. It gets what was
    said as `wanted`; one with a parameter `files` takes certificates, too, and gets them as that.
    """

    def wrap(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters
        takes_files = "files" in own
        general = {**_OF_VALUES, **(_OF_TRUST if takes_files else {})}
        words = [
            *(_alone(one) for name, one in own.items() if name not in ("wanted", "files")),
            *(_option(name, kind) for name, kind in general.items()),
            *_options(flags),
        ]

        @functools.wraps(command)
        def run(**said: Any) -> Any:
            of_flags = {flag.name: said.pop(flag.parameter) for flag in flags}
            given = {name: word for name, word in of_flags.items() if word is not None}
            said["wanted"] = Said(given, *(said.pop(name) or () for name in _OF_VALUES))
            if takes_files:
                said["files"] = TrustFiles(*(said.pop(name) for name in _OF_TRUST))
            return command(**said)

        described: Any = run
        described.__signature__ = inspect.Signature(words)
        described.__annotations__ = {one.name: one.annotation for one in words}
        del described.__wrapped__
        return run

    return wrap


def _alone(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _option(name: str, kind: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def _options(flags: Sequence[Flag]) -> Iterator[inspect.Parameter]:
    for flag in flags:
        metavar: dict[str, Any] = {} if flag.kind is bool else {"metavar": flag.metavar}
        # Said or not said: no flag has a second form that says the opposite.
        option = typer.Option(flag.name, help=flag.help, **metavar)
        yield _option(flag.parameter, Annotated[flag.kind | None, option])
