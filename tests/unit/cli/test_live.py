"""The foreground of `local up`: a table that is redrawn, and what is printed where nothing can be."""

import os
import sys

import pexpect
import pytest

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.cli.render.live import STOP_HINT
from linkerd2_py.cli.screen import WINDOW_S, Screen
from tests.support.terminal import Terminal
from tests.support.wait import patience

TABLE = "NAME   RPS\nweb    1.0rps"

# Draws whenever it is told to: one more line each time, so that a frame that is left over can be told from
# the newest.
DRAWING = """
import sys
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.cli.screen import Screen
from linkerd2_py.controlplane.local.supervise.reports import Report
screen = Screen(clock=SystemClock(), above="Open the page\\n")
print("Open the page", flush=True)
for word in sys.stdin:
    if word.strip() == "say":
        screen.say(Report("problem", "pod web-0: gone"))
    else:
        screen.show("\\n".join(["NAME" + " " * 60 + word.strip(), *("web" + "." * 80,) * 3]))
"""


def test_a_pipe_gets_the_table_once_when_it_has_a_whole_window(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = ManualClock()
    screen = Screen(clock=clock)
    screen.show(TABLE)
    clock.advance(WINDOW_S)
    screen.show("NAME   RPS\nweb    -")
    assert capsys.readouterr().out == ""
    screen.show(TABLE)
    screen.show(TABLE)
    assert capsys.readouterr().out == f"{TABLE}\n\nCtrl-C stops everything.\n"


@pytest.mark.parametrize("reflows", [True, False])
def test_a_resized_terminal_shows_one_table(reflows: bool) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-c", DRAWING],
        env=os.environ | {"NO_COLOR": "1", "TERM": "xterm"},
        dimensions=(20, 90),
        echo=False,
        encoding="utf-8",
        timeout=30 * patience(),
    )
    terminal = Terminal(90, 20, reflows=reflows)

    def told(word: str, *, until: str) -> list[str]:
        child.sendline(word)
        child.expect_exact(until)
        terminal.feed(child.before + child.after)
        child.expect_exact("\n")
        terminal.feed(child.before + child.after)
        return terminal.shown

    for word, columns in (("a", 90), ("b", 90), ("c", 40), ("d", 41), ("e", 120), ("f", 25)):
        child.setwinsize(20, columns)
        terminal.resize(columns)
        shown = told(word, until=STOP_HINT)
        assert sum(row.startswith("NAME") for row in shown) == 1, shown
        assert sum(row.startswith("web") for row in shown) == 3, shown
        assert shown.count(STOP_HINT) == 1
        assert shown.count("Open the page") == 1
    told("say", until="gone")
    child.setwinsize(20, 70)
    terminal.resize(70)
    shown = [row for row in told("g", until=STOP_HINT) if row]
    assert [row.split()[0] for row in shown] == [
        "Open",
        "×",
        "NAME",
        "web" + "." * 66,
        *("web" + "." * 66,) * 2,
        "Ctrl-C",
    ]
    child.close()
