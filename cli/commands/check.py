"""`check`: is the mesh healthy, and if not, what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from linkerd2_py.base.logs import printable
from linkerd2_py.cli import output
from linkerd2_py.cli.checks.extensions import extension_results, is_one
from linkerd2_py.cli.checks.mesh import CniPlugin, MeshChecks
from linkerd2_py.cli.checks.run import Check, Result, run_checks
from linkerd2_py.cli.durations import parse_duration
from linkerd2_py.cli.errors import EXIT_FAILURE, bad_usage
from linkerd2_py.cli.options import Globals, output_option
from linkerd2_py.cli.render.check import CheckLines, as_json, succeeded

_FORMS: Final = ("table", "json", "short")


def check(
    form: Annotated[str, output_option(*_FORMS)] = "table",
    wait: Annotated[
        str,
        typer.Option("--wait", metavar="DURATION", help="Retry this long what may still come up."),
    ] = "5m",
    pre: Annotated[
        bool,
        typer.Option("--pre", help="Only whether a control plane can be installed in a cluster."),
    ] = False,
    crds: Annotated[
        bool, typer.Option("--crds", help="Only whether a cluster knows the kinds of a mesh.")
    ] = False,
    proxy: Annotated[
        bool,
        typer.Option(
            "--proxy", help="Only what proxies need, and the proxies; of a cluster those in -n."
        ),
    ] = False,
    linkerd_cni_enabled: Annotated[
        bool,
        typer.Option("--linkerd-cni-enabled", help="With --pre: the CNI plugin must be there."),
    ] = False,
    cni_namespace: Annotated[
        str,
        typer.Option("--cni-namespace", metavar="NAMESPACE", help="Where the CNI plugin is."),
    ] = "linkerd-cni",
    *,
    given: Globals,
) -> None:
    """Check the control plane and the proxies; exit status 1 if something failed.

    \b
    Examples:
      check --pre
      check --proxy -n emojivoto
    """
    output.one_of(form, allowed=_FORMS)
    wait_s = parse_duration(wait, flag="--wait")
    checks = MeshChecks(given, cni=CniPlugin(cni_namespace, linkerd_cni_enabled))
    wanted = _wanted(checks, {"--pre": pre, "--crds": crds, "--proxy": proxy})
    lines = CheckLines(paint=output.paint_for(sys.stdout), short=form == "short")
    words = _words(given, proxy=proxy, wait=wait)

    def found() -> Iterator[Result]:
        yield from run_checks(wanted, wait_s=wait_s, on_wait=_on_wait)
        if checks.in_cluster and not (pre or crds or is_one()):
            yield from extension_results(checks.extension_names(), words=words, wait_s=wait_s)

    results: list[Result] = []
    try:
        for result in found():
            results.append(result)
            if form != "json":
                _show(lines.lines(result))
    finally:
        checks.close()
    if form == "json":
        output.write_json(as_json(results))
    else:
        _show(lines.verdict(results))
    if not succeeded(results):
        raise typer.Exit(EXIT_FAILURE)


def _wanted(checks: MeshChecks, only: dict[str, bool]) -> list[Check]:
    chosen = [flag for flag, is_on in only.items() if is_on]
    if len(chosen) > 1:
        raise bad_usage(f"{' and '.join(chosen)} exclude each other")
    by_flag = {
        "--pre": checks.before_install,
        "--crds": checks.of_kinds,
        "--proxy": checks.of_proxies,
    }
    return by_flag[chosen[0]]() if chosen else checks.all()


def _words(given: Globals, *, proxy: bool, wait: str) -> list[str]:
    """What an extension is told for its own check."""
    said = {
        "--context": given.within,
        "--as": given.user,
        "--kubeconfig": given.kubeconfig,
        "--linkerd-namespace": given.linkerd_namespace,
        "--namespace": given.namespace,
        "--wait": wait,
    }
    groups = [f"--as-group={group}" for group in given.groups or ()]
    plain = ["--proxy"] * proxy + ["--verbose"] * given.verbose
    return [*(f"{flag}={value}" for flag, value in said.items() if value), *groups, *plain]


def _show(lines: list[str]) -> None:
    for line in lines:
        output.write(f"{line}\n")
    sys.stdout.flush()


def _on_wait(reason: str) -> None:
    """Tell a waiting person why; a pipe sees nothing."""
    if sys.stderr.isatty():
        output.note(f"waiting: {printable(reason.partition(chr(10))[0])}")
