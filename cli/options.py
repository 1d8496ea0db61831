"""Options that many commands take. The global ones work on either side of the command's name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from linkerd2_py.base.durations import SHORTEST_WINDOW_S
from linkerd2_py.base.selectors import Requirement, parse_selector
from linkerd2_py.cli import completing
from linkerd2_py.cli.durations import parse_duration
from linkerd2_py.cli.errors import bad_usage

Selector = Annotated[
    str,
    typer.Option("--selector", "-l", metavar="LABELS", help="Only what has these, e.g. app=web."),
]
TimeWindow = Annotated[
    str,
    typer.Option(
        "--time-window", "-t", metavar="DURATION", help="Look this far back, e.g. 30s, 1m."
    ),
]
Proxies = Annotated[
    list[str],
    typer.Argument(
        metavar="RESOURCE",
        help="po/NAME, deploy/NAME or ns/NAME; of a cluster anything that has pods.",
        autocompletion=completing.resources("po", "deploy", "ns"),
    ),
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Show all namespaces.")]


@dataclass(frozen=True, slots=True)
class Globals:
    """The global options, each of whose fields declares one: which control plane is asked, about which
    namespace, and as whom.
    """

    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NAMESPACE",
            help="Namespace (default: the local mesh's own, or the kubeconfig's).",
            autocompletion=completing.namespaces,
        ),
    ] = None
    api_addr: Annotated[
        str | None,
        typer.Option(
            "--api-addr", metavar="HOST:PORT", help="Address of the control plane's public API."
        ),
    ] = None
    kubeconfig: Annotated[
        str | None,
        typer.Option(
            "--kubeconfig", metavar="FILE", help="How to reach a cluster (default: $KUBECONFIG)."
        ),
    ] = None
    within: Annotated[
        str | None,
        typer.Option(
            "--context",
            metavar="NAME",
            help="Which context of the kubeconfig to use.",
            autocompletion=completing.contexts,
        ),
    ] = None
    user: Annotated[
        str | None,
        typer.Option("--as", metavar="USER", help="Ask the cluster as this user."),
    ] = None
    groups: Annotated[
        list[str] | None,
        typer.Option(
            "--as-group", metavar="GROUP", help="… and as a member of this group; may be repeated."
        ),
    ] = None
    linkerd_namespace: Annotated[
        str | None,
        typer.Option(
            "--linkerd-namespace",
            "-L",
            metavar="NAMESPACE",
            help="Where the cluster's control plane is ($LINKERD_NAMESPACE; default: linkerd).",
        ),
    ] = None
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say on stderr who is asked, and what.")
    ] = False

    @property
    def says_a_cluster(self) -> str:
        """The first option that was given and makes sense of a cluster alone; nothing if there is none."""
        said = {
            "--kubeconfig": self.kubeconfig,
            "--context": self.within,
            "--as": self.user,
            "--as-group": self.groups,
            "--linkerd-namespace": self.linkerd_namespace,
        }
        return next((flag for flag, value in said.items() if value), "")

    def check(self) -> None:
        """CliError for options that make no sense together."""
        if self.groups and not self.user:
            raise bad_usage("--as-group needs --as: as whom, of these groups, the cluster is asked")
        said = self.says_a_cluster
        if self.api_addr and said:
            raise bad_usage(f"--api-addr asks one address, and {said} a cluster: use one of them")


def checked_selector(text: str) -> Requirement:
    """What -l says. CliError for what kubectl would not read."""
    try:
        return parse_selector(text)
    except ValueError as error:
        raise bad_usage(f"-l: {error}") from None


def checked_window(text: str) -> None:
    """What -t says. CliError for no duration, and for one that nothing can be said of."""
    if parse_duration(text, flag="-t") < SHORTEST_WINDOW_S:
        raise bad_usage(f"-t: {text} is too short: it must be at least {SHORTEST_WINDOW_S:g}s")


def takes_globals(command: Callable[..., Any]) -> Callable[..., Any]:
    """`command` with an option for each field of `Globals`; it gets all of them as `given`, if it has such a
    parameter.
    """
    own = inspect.signature(command, eval_str=True).parameters
    hints = get_type_hints(Globals, include_extras=True)
    options = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=hints[each.name],
        )
        for each in fields(Globals)
    ]
    words = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in own.values()
        if one.name != "given"
    ]

    @functools.wraps(command)
    def run(**values: Any) -> Any:
        given = Globals(**{each.name: values.pop(each.name) for each in fields(Globals)})
        given.check()
        return command(**values, **({"given": given} if "given" in own else {}))

    described: Any = run
    described.__signature__ = inspect.Signature([*words, *options])
    described.__annotations__ = {one.name: one.annotation for one in (*words, *options)}
    # What it wraps would be looked through for types.
    del described.__wrapped__
    return run


def output_option(*forms: str) -> Any:
    """`-o` with these values; `output.one_of` refuses others."""
    return typer.Option(
        "--output",
        "-o",
        metavar="|".join(forms),
        help="What to print.",
        autocompletion=completing.words(*forms),
    )
