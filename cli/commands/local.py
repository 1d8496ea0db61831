"""`local up`, `down`, `status`, `logs`, `exec`: a whole mesh on this machine; without root unless it is
transparent."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.controller_flags import check_prometheus_url
from linkerd2_py.cli.durations import parse_duration
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.find import local as found
from linkerd2_py.cli.layout import Command, Group
from linkerd2_py.cli.live import (
    Started,
    follow_start,
    show_checks,
    show_until_stopped,
    show_where_to_look,
)
from linkerd2_py.cli.options import Globals, output_option, takes_globals
from linkerd2_py.cli.program import shown_program
from linkerd2_py.cli.render.check import paint_mark
from linkerd2_py.cli.render.live import cross, tick
from linkerd2_py.controlplane.local.state.owned import StateError
from linkerd2_py.controlplane.local.state.state_dir import State, StateDir

if TYPE_CHECKING:
    # It brings asyncio along, which quick commands do without.
    from linkerd2_py.controlplane.local.supervise.launcher import Launch, Supervising

# Linkerd's names, of `linkerd install`.
_ISSUER_FLAGS: Final = (
    "--identity-trust-anchors-file",
    "--identity-issuer-certificate-file",
    "--identity-issuer-key-file",
)
# Proxies ask for the next certificate no sooner than after ten seconds.
_SHORTEST_LIFETIME_S: Final = 10.0
_LONGEST_LIFETIME_S: Final = 365 * 86_400.0

app = typer.Typer(
    cls=Group,
    help="Run a mesh on this machine: up, down, status, logs, exec.",
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("up", cls=Command)
@takes_globals
def up(
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="mesh.yaml (default: the sample application)."
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when everything is ready.")
    ] = False,
    wait: Annotated[
        str, typer.Option("--wait", metavar="DURATION", help="How long the start may take.")
    ] = "60s",
    transparent: Annotated[
        bool,
        typer.Option(
            "--transparent",
            help="As root: a network namespace for every pod, whose traffic is redirected to its proxy.",
        ),
    ] = False,
    issuance_lifetime: Annotated[
        str,
        typer.Option(
            "--identity-issuance-lifetime",
            metavar="DURATION",
            help="How long the certificate of a proxy is valid.",
        ),
    ] = "24h",
    anchors_file: Annotated[
        Path | None,
        typer.Option(
            _ISSUER_FLAGS[0],
            metavar="FILE",
            help="What the mesh trusts (PEM), with the next two (default: made for this mesh alone).",
        ),
    ] = None,
    issuer_file: Annotated[
        Path | None,
        typer.Option(
            _ISSUER_FLAGS[1],
            metavar="FILE",
            help="The certificate that signs those of proxies (PEM).",
        ),
    ] = None,
    issuer_key_file: Annotated[
        Path | None, typer.Option(_ISSUER_FLAGS[2], metavar="FILE", help="Its private key (PEM).")
    ] = None,
    prometheus: Annotated[
        bool,
        typer.Option(
            "--prometheus",
            help="Keep samples in a Prometheus of this mesh's own, whose history stays.",
        ),
    ] = False,
    prometheus_url: Annotated[
        str,
        typer.Option(
            "--prometheus-url",
            metavar="URL",
            help="Ask this Prometheus for samples; what it is to scrape is in the state directory.",
        ),
    ] = "",
) -> None:
    """Start control plane, workloads and proxies; in the foreground until Ctrl-C, or detached."""
    from linkerd2_py.controlplane.local.state import state_dir
    from linkerd2_py.controlplane.local.supervise import launcher

    wait_s = parse_duration(wait, flag="--wait")
    lifetime_s = _issuance_lifetime(issuance_lifetime)
    issuer = _issuer(anchors_file, issuer_file, issuer_key_file)
    check_prometheus_url(prometheus_url)
    if prometheus and prometheus_url:
        raise bad_usage("--prometheus starts one, --prometheus-url uses another: give one of them")
    if transparent and os.geteuid() != 0:
        raise CliError("--transparent makes network namespaces, which needs root: run it with sudo")
    try:
        launch = launcher.Launch(
            file.absolute() if file else launcher.SAMPLE_MESH_FILE,
            state_dir.transparent_state_dir() if transparent else state_dir.own_state_dir(),
            detach=detach,
            issuance_lifetime_s=lifetime_s,
            start_limit_s=wait_s,
            transparent=transparent,
            issuer=launcher.IssuerPaths(*issuer) if issuer else None,
            own_prometheus=prometheus,
            prometheus_url=prometheus_url,
        )
        _make_room(launch.state_dir)
        supervising = launcher.Supervising(launch)
    except StateError as error:
        raise CliError(str(error)) from error
    _raise_on_signals()
    try:
        _attend(supervising, launch=launch)
    except KeyboardInterrupt:
        output.note("\nstopping…")
        supervising.ask_to_stop()
        supervising.wait()
    finally:
        supervising.close()


def _issuance_lifetime(text: str) -> float:
    flag = "--identity-issuance-lifetime"
    seconds = parse_duration(text, flag=flag)
    if not _SHORTEST_LIFETIME_S <= seconds <= _LONGEST_LIFETIME_S:
        raise bad_usage(f"{flag}: {text} is not between 10s and 8760h (a year)")
    return seconds


def _issuer(*files: Path | None) -> tuple[Path, ...]:
    """The files of an issuer of one's own, or nothing. CliError for a part of them."""
    given = tuple(path.absolute() for path in files if path)
    if given and len(given) < len(files):
        missing = next(
            flag for flag, path in zip(_ISSUER_FLAGS, files, strict=True) if path is None
        )
        raise bad_usage(f"{missing} is missing: give all of {', '.join(_ISSUER_FLAGS)}, or none")
    return given


def _make_room(directory: StateDir) -> None:
    """A directory without a mesh. CliError if one runs there, StateError if it cannot be ours."""
    from linkerd2_py.controlplane.local.state import state_dir

    directory.create()
    running = state_dir.holder(directory)
    if running is not None:
        who = f" (pid {running})" if running != state_dir.UNSEEN else ""
        raise CliError(f"a local mesh is already running{who}: `linkerd2-py local down` stops it")
    directory.remove_state()


def _attend(supervising: Supervising, *, launch: Launch) -> None:
    """Show the start, then the mesh until it ends; or return when it is ready. CliError if it does
    not start.
    """
    started = follow_start(supervising.reports())
    state = launch.state_dir.live()
    if state is None or (started.problems and not launch.state_dir.state_file.exists()):
        supervising.wait()
        raise _failed(started.news)
    if launch.detach:
        _finish_detached(started, state=state, sample=launch.is_sample)
        return
    for problem in started.news:
        output.note(f"linkerd2-py: {problem}")
    if not started.problems:
        show_checks(state)
    output.write("\n")
    show_until_stopped(supervising, state=state, sample=launch.is_sample)


@app.command("down", cls=Command)
@takes_globals
def down() -> None:
    """Stop the local mesh; returns when its last process has ended."""
    from linkerd2_py.controlplane.local.supervise import launcher

    try:
        stopped = launcher.stop_mesh(found.state_dir())
    except StateError as error:
        raise CliError(str(error)) from error
    except PermissionError as error:
        raise CliError("the local mesh belongs to another user: run this with sudo") from error
    output.write("the local mesh is stopped" if stopped else "no local mesh is running")


@app.command("status", cls=Command)
@takes_globals
def status(
    form: Annotated[str, output_option("table", "json")] = "table",
    *,
    given: Globals,
) -> None:
    """Show the local mesh: its pods, its addresses, its file. Exit status 1 if none runs."""
    from dataclasses import asdict

    from linkerd2_py.cli.api import Api
    from linkerd2_py.cli.render.get import pod_table

    output.one_of(form, allowed=("table", "json"))
    _directory, state = found.running()
    with Api(found.of(state), verbose=given.verbose) as api:
        pods = api.get("/pods", namespace=state.namespace)["pods"]
        results = api.get("/self-check")["results"]
    problems = [result for result in results if result["status"] != "ok"]
    if form == "json":
        output.write_json({**asdict(state), "pods": pods, "problems": problems})
        return
    facts = {
        "mesh": state.mesh_file,
        "namespace": state.namespace,
        "dashboard": found.dashboard_of(state),
        "public API": state.public_api,
        "proxy API": state.proxy_api,
        "supervisor": f"pid {state.pid}",
        **({"prometheus": state.prometheus} if state.prometheus else {}),
        **({"namespaces": f"{state.network}-POD"} if state.network else {}),
    }
    output.write("\n".join(f"{name + ':':<12} {value}" for name, value in facts.items()))
    output.write("\n" + pod_table(pods) + "\n")
    _show_problems(problems)
    if state.links:
        output.write("\n" + "\n".join(f"{name:<24} {url}" for name, url in state.links.items()))


def _show_problems(problems: Sequence[Mapping[str, str]]) -> None:
    """What `check` would say of the mesh as a whole; the table has said what is wrong with its pods."""
    paint = output.paint_for(sys.stdout)
    lines = []
    for problem in problems:
        mark = paint_mark("warning" if problem["status"] == "warning" else "error", paint=paint)
        lines.append(f"{mark} {problem['description']}: {problem['message']}")
    if lines:
        output.write("\n" + "\n".join(lines) + "\n")


@app.command("logs", cls=Command)
@takes_globals
def logs(
    name: Annotated[
        str,
        typer.Argument(
            metavar="POD",
            help="A pod, deploy/NAME, or control-plane.",
            autocompletion=completing.pods,
        ),
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they grow.")] = False,
    container: Annotated[
        str,
        typer.Option(
            "--container",
            "-c",
            metavar="proxy|app|init",
            help="Only of this one.",
            autocompletion=completing.words("proxy", "app", "init"),
        ),
    ] = "",
    tail: Annotated[
        int,
        typer.Option("--tail", min=-1, metavar="LINES", help="How many to begin with (-1: all)."),
    ] = -1,
) -> None:
    """Print what pods and the control plane have logged, also of a mesh that has ended."""
    from linkerd2_py.cli import logs as reading

    if container not in {"", "proxy", "app", "init"}:
        raise bad_usage(f"-c: {container!r} is not a container: use proxy, app or init")
    directory = found.state_dir()
    try:
        directory.check()
    except StateError as error:
        raise CliError(str(error)) from error
    paths = reading.select(directory.logs, reading.Selection(name, container))
    reader = reading.LogReader(paths, tail=None if tail < 0 else tail)
    if not follow:
        _show(reader.read())
        return
    reading.follow(reader, show=_show)


@app.command("exec", cls=Command)
@takes_globals
def execute(
    pod: Annotated[
        str,
        typer.Argument(
            metavar="POD", help="A pod of a transparent mesh.", autocompletion=completing.pods
        ),
    ],
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND…", help="What to run, with its arguments.")
    ],
) -> None:
    """Run a command where a pod's program runs: its network, names and user. As root."""
    from linkerd2_py.controlplane.local.place.transparent import inside

    directory, state = found.running()
    if not state.network:
        raise CliError("pods have a network of their own only in a mesh started with --transparent")
    if os.geteuid() != 0:
        raise CliError("entering a pod's network needs root: run this with sudo")
    try:
        inside.become(pod, command, state=state, directory=directory)
    except inside.NoSuchPodError as error:
        raise CliError(str(error)) from error


def _show(lines: Sequence[str]) -> None:
    if lines:
        output.write("\n".join(lines))
        sys.stdout.flush()


def _finish_detached(started: Started, *, state: State, sample: bool) -> None:
    """The last words of a detached start; CliError if not everything is ready."""
    paint = output.paint_for(sys.stdout)
    if started.problems:
        for problem in started.news:
            output.note(cross(problem, paint=output.paint_for(sys.stderr)))
        raise _not_ready(len(started.problems), noun="problem")
    failed = show_checks(state)
    if failed:
        raise _not_ready(failed, noun="failed check")
    output.write(tick("everything is ready", paint=paint) + "\n\n")
    show_where_to_look(state, sample=sample)
    by_root = "sudo " if state.network and "SUDO_UID" in os.environ else ""
    output.write(f"`{by_root}{shown_program()} local down` stops it.")


def _not_ready(count: int, *, noun: str) -> CliError:
    counted = f"{count} {noun}{'' if count == 1 else 's'}"
    return CliError(
        f"{counted}, see above; what did start keeps running; `linkerd2-py local down` stops it"
    )


def _failed(problems: tuple[str, ...]) -> CliError:
    """All problems but the last are notes; the last becomes the error's line."""
    for problem in problems[:-1]:
        output.note(f"linkerd2-py: {problem}")
    return CliError(problems[-1] if problems else "the mesh ended while starting")


def _raise_on_signals() -> None:
    """A SIGTERM ends the foreground as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
