"""The foreground of `local up`: shows the start, then a table that refreshes until Ctrl-C."""

from __future__ import annotations

import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.cli import output
from linkerd2_py.cli.api import Api
from linkerd2_py.cli.checks.mesh import MeshChecks
from linkerd2_py.cli.checks.run import run_checks
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find import local
from linkerd2_py.cli.find.public_api import find
from linkerd2_py.cli.options import Globals
from linkerd2_py.cli.program import shown_program
from linkerd2_py.cli.render import live as render
from linkerd2_py.cli.render import stat as render_stat
from linkerd2_py.cli.render.check import paint_mark
from linkerd2_py.cli.screen import WINDOW_S, Screen
from linkerd2_py.controlplane.local.state.state_dir import State
from linkerd2_py.controlplane.local.supervise.reports import Report

if TYPE_CHECKING:
    # It brings asyncio along, which quick commands do without.
    from linkerd2_py.controlplane.local.supervise.launcher import Supervising

REFRESH_S: Final = 2.0
RESIZED: Final = Report("step", "the terminal has another size")
"""Not from the supervisor, and a reason to draw at once: a window was dragged."""
CHECKS_WAIT_S: Final = 10.0
"""Long enough for the first metrics of every proxy to have been read."""


@dataclass(frozen=True, slots=True)
class Started:
    """How the start ended: `problems` has one line for each thing that is wrong, `shown` those
    of them that a person has read already.
    """

    problems: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()

    @property
    def news(self) -> tuple[str, ...]:
        """The problems that nobody has read yet."""
        return tuple(problem for problem in self.problems if problem not in self.shown)


def follow_start(reports: Iterator[Report]) -> Started:
    """Print ticks (problems on stderr) until the start has ended one way or the other."""
    shown: list[str] = []
    for report in reports:
        if report.kind == "ready":
            return Started()
        if report.kind == "failed":
            return Started(tuple(report.text.splitlines()), shown=tuple(shown))
        if report.kind == "problem":
            output.note(render.cross(report.text, paint=output.paint_for(sys.stderr)))
            shown.append(report.text)
        else:
            output.write(render.tick(report.text, paint=output.paint_for(sys.stdout)))
            sys.stdout.flush()
    return Started(("the supervisor ended early; `linkerd2-py local logs control-plane` says why",))


def show_checks(state: State) -> int:
    """Ask everything `check` asks of this mesh, once it has started; one line each. How many failed."""
    checks = MeshChecks(Globals(api_addr=state.public_api))
    paint = output.paint_for(sys.stdout)
    failed = 0
    try:
        for result in run_checks(checks.all(), wait_s=CHECKS_WAIT_S, on_wait=lambda _reason: None):
            failed += result.outcome == "error"
            detail = f": {result.message}" if result.message else ""
            mark = paint_mark(result.outcome, paint=paint)
            output.write(f"{mark} {result.category}: {result.description}{detail}")
            sys.stdout.flush()
    finally:
        checks.close()
    return failed


def show_until_stopped(supervising: Supervising, *, state: State, sample: bool) -> None:
    """Refresh until the supervisor ends or KeyboardInterrupt. CliError if nobody asked it to end."""
    news: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
    threading.Thread(target=_pass_on, args=(supervising, news.put), daemon=True).start()
    screen = Screen(clock=SystemClock(), above=show_where_to_look(state, sample=sample))
    signal.signal(signal.SIGWINCH, lambda *_: news.put(RESIZED))
    control_plane = find(Globals())
    if control_plane is None:
        raise CliError("the mesh has gone")
    with Api(control_plane) as api:
        while True:
            screen.show(table_of(api, namespace=state.namespace))
            try:
                report = news.get(timeout=REFRESH_S)
            except queue.Empty:
                continue
            if report is None:
                _tell_the_end(status=supervising.wait())
                return
            if report is not RESIZED:
                screen.say(report)


def _tell_the_end(*, status: int) -> None:
    """A supervisor that was told to stop, by `local down` elsewhere, ends with status 0."""
    if status != 0:
        raise CliError("the mesh has ended; see `linkerd2-py local logs control-plane`")
    output.note("the local mesh was stopped")


def show_where_to_look(state: State, *, sample: bool) -> str:
    """The addresses and commands to go on with, also as text. Not redrawn, so that they may wrap and be
    copied.
    """
    words = render.Words(paint=output.paint_for(sys.stdout), program=shown_program())
    lines = render.where_to_look(
        state.links,
        dashboard=local.dashboard_of(state),
        sample=sample,
        words=words,
        namespace=state.namespace,
    )
    text = "".join(f"{line}\n" for line in lines)
    output.write(text)
    sys.stdout.flush()
    return text


def table_of(api: Api, *, namespace: str) -> str:
    """`stat deploy` as text; empty while there is nothing to show."""
    try:
        answer = api.get("/stat", type="deploy", namespace=namespace, window=f"{WINDOW_S}s")
    except CliError:
        return ""
    style = render_stat.StatStyle(paint=output.paint_for(sys.stdout))
    return render_stat.render_tables(render_stat.collect_rows([answer]), style=style)


def _pass_on(supervising: Supervising, put: Callable[[Report | None], None]) -> None:
    try:
        for report in supervising.reports():
            put(report)
    finally:
        # Whatever ended the reports: nobody waits for more of them.
        put(None)
