"""Log lines, filters, and the sink that drops rather than waits."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator

import pytest

from linkerd2_py.base import logs


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe to log into; the process's logging is put back afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    for sink in list(root.handlers):
        root.removeHandler(sink)
    for sink in before:
        root.addHandler(sink)
    logs.set_filter("warn")
    root.setLevel(level)
    os.close(read)
    os.close(write)


def test_filter_names_this_package_linkerd() -> None:
    levels = logs.parse_filter("warn, linkerd=info,linkerd::proxy=debug,uvicorn=off")
    assert levels.root == logging.WARNING
    assert levels.targets == {
        "linkerd2_py": logging.INFO,
        "linkerd2_py.proxy": logging.DEBUG,
        "uvicorn": logging.CRITICAL + 10,
    }


@pytest.mark.parametrize("text", ["", "loud", "linkerd=loud", "=info", "info,,"])
def test_filter_rejects_what_it_does_not_know(text: str) -> None:
    with pytest.raises(logs.FilterError):
        logs.parse_filter(text)


def test_plain_line(pipe: tuple[int, int]) -> None:
    logs.configure(filter_text="warn,linkerd=info", fd=pipe[1])
    logging.getLogger("linkerd2_py.proxy").info("listening on %s", "127.0.0.1:1")
    line = os.read(pipe[0], 4096).decode()
    assert line.startswith("[")
    assert line.endswith("s]  INFO linkerd2_py.proxy: listening on 127.0.0.1:1\n")


def test_json_line_keeps_a_traceback_on_one_line(pipe: tuple[int, int]) -> None:
    logs.configure(style="json", fd=pipe[1])
    try:
        raise OSError("gone")
    except OSError:
        logging.getLogger("linkerd2_py").exception("it broke\x1b[31m")
    lines = os.read(pipe[0], 65536).decode().splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert (line["level"], line["target"]) == ("ERROR", "linkerd2_py")
    assert line["fields"]["message"].startswith("it broke\\x1b[31m\\nTraceback")


def test_level_changes_at_run_time(pipe: tuple[int, int]) -> None:
    logs.configure(filter_text="warn,linkerd=debug", fd=pipe[1])
    logs.set_filter("error")
    logging.getLogger("linkerd2_py").warning("quiet")
    logging.getLogger("linkerd2_py").error("loud")
    assert os.read(pipe[0], 4096).decode().endswith("loud\n")


def test_a_full_pipe_drops_and_counts_instead_of_waiting(pipe: tuple[int, int]) -> None:
    sink = logs.LineSink(fd=pipe[1])
    record = logging.LogRecord("x", logging.INFO, "", 0, "y" * 9000, None, None)
    while not sink.dropped:
        sink.emit(record)
    sink.emit(record)
    assert sink.dropped == 2
    while _try_read(pipe[0]):
        pass
    sink.emit(record)
    lines = _try_read(pipe[0]).decode().splitlines()
    assert lines[0] == "(2 log lines dropped: reader too slow)"
    assert len(lines[1]) == logs.LINE_LIMIT_BYTES - 1


def test_a_closed_reader_costs_the_line_only(pipe: tuple[int, int]) -> None:
    read, write = os.pipe()
    os.close(read)
    sink = logs.LineSink(fd=write)
    sink.emit(logging.LogRecord("x", logging.INFO, "", 0, "y", None, None))
    assert sink.dropped == 1
    os.close(write)


def _try_read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 20)
    except BlockingIOError:
        return b""
