"""The foreground of `local up` where nothing can be redrawn."""

import pytest

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.cli.live import WINDOW_S, Screen

TABLE = "NAME   RPS\nweb    1.0rps"


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
