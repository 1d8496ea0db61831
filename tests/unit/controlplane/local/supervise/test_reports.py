"""What a supervisor tells, whether or not anybody listens."""

from __future__ import annotations

import os

from linkerd2_py.controlplane.local.supervise.reports import Report, ReportPipe, read_reports


def test_reports_arrive_in_order() -> None:
    read, write = os.pipe()
    pipe = ReportPipe(write)
    sent = [Report("step", "√ one"), Report("failed", "a\nb")]
    for report in sent:
        pipe.send(report)
    pipe.close()
    pipe.close()
    pipe.send(Report("ready"))
    with os.fdopen(read, encoding="utf-8") as lines:
        assert list(read_reports(lines)) == sent


def test_a_reader_that_left_or_sleeps_is_not_waited_for() -> None:
    read, write = os.pipe()
    pipe = ReportPipe(write)
    for _ in range(2000):
        pipe.send(Report("step", "x" * 100))
    os.close(read)
    pipe.send(Report("step"))
    pipe.send(Report("step"))


def test_nobody_listens() -> None:
    ReportPipe(None).send(Report("ready"))


def test_lines_that_are_no_reports_are_left_out() -> None:
    assert list(read_reports(["nonsense\n", "{}\n"])) == []
