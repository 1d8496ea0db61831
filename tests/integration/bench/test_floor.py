"""The floor of the benchmarks: what it prints, also where io_uring is forbidden or time is cut short."""

import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.native import compile_program, json_lines, refusal
from tests.support.processes import Child
from tests.support.wait import eventually

STEPS = {
    "epoll_client_ns",
    "recv_client_ns",
    "send_server_ns",
    "epoll_server_ns",
    "recv_server_ns",
    "send_client_ns",
}

# Runs a program whose io_uring_setup (425 everywhere) answers EPERM, as under a container's filter.
WITHOUT_IO_URING = """
import ctypes, os, struct, sys
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_program("floor", tmp_path_factory.mktemp("floor"))


@contextmanager
def running(tmp_path: Path, *words: str | Path) -> Iterator[Child]:
    with Child.start(words, log=tmp_path / "floor.log") as child:
        yield child


def lines_of(tmp_path: Path, *words: str | Path) -> list[dict[str, Any]]:
    """What it prints when it runs to its end."""
    with running(tmp_path, *words) as child:
        assert child.wait() == 0, child
        return json_lines(child)


def check_epoll(line: dict[str, Any]) -> None:
    assert line["backend"] == "epoll"
    assert line.keys() == {"backend", "total_ns"} | STEPS
    assert all(0 < line[step] < line["total_ns"] for step in STEPS)


def check_io_uring(line: dict[str, Any]) -> None:
    assert line["backend"] == "io_uring"
    if "refused" in line:  # here, by this machine
        assert line["refused"]
    else:
        assert all(line[step] > 0 for step in line.keys() - {"backend"})
        assert line["total_ns"] > line["send_server_ns"]


@pytest.mark.parametrize(
    "sizes",
    [
        (),
        ("--request-bytes", "1", "--response-bytes", "32768"),
        ("--request-bytes", "32768", "--response-bytes", "1", "--connections", "1"),
        ("--connections", "500", "--rounds", "1"),
    ],
)
def test_prints_a_line_for_each_backend_and_one_for_the_machine(
    program: Path, tmp_path: Path, sizes: tuple[str, ...]
) -> None:
    epoll, io_uring, machine = lines_of(tmp_path, program, "--seconds", "0.2", *sizes)
    check_epoll(epoll)
    check_io_uring(io_uring)
    assert machine["machine"]["kernel"] == platform.release()


def test_describes_the_machine(program: Path, tmp_path: Path) -> None:
    machine = lines_of(tmp_path, program, "--seconds", "0.01")[-1]["machine"]
    assert machine.keys() == {
        "kernel",
        "congestion_control",
        "clocksource",
        "loopback_mtu",
        "mitigations",
    }
    sources = {
        "congestion_control": "/proc/sys/net/ipv4/tcp_congestion_control",
        "clocksource": "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        "loopback_mtu": "/sys/class/net/lo/mtu",
    }
    for name, path in sources.items():
        if Path(path).exists():
            assert str(machine[name]) == Path(path).read_text().strip()
        else:
            assert machine[name] is None
    folder = Path("/sys/devices/system/cpu/vulnerabilities")
    for name, state in machine["mitigations"].items():
        assert state == (folder / name).read_text().strip()


def test_says_why_io_uring_is_refused(program: Path, tmp_path: Path) -> None:
    launcher = [sys.executable, "-c", WITHOUT_IO_URING]
    epoll, io_uring, machine = lines_of(tmp_path, *launcher, program, "--seconds", "0.05")
    check_epoll(epoll)
    assert io_uring == {"backend": "io_uring", "refused": "Operation not permitted"}
    assert "machine" in machine


def test_prints_what_it_has_when_it_is_told_to_end(program: Path, tmp_path: Path) -> None:
    with running(tmp_path, program, "--seconds", "3000") as child:

        def measures() -> bool:
            # Listening only while it connects: then all its sockets are there.
            return len(child.family()[0].net_connections()) == 4 * 64

        eventually(measures, what="the floor has its connections")
        child.send(signal.SIGTERM)
        assert child.wait() == 0
        epoll, io_uring, machine = json_lines(child)
    check_epoll(epoll)
    check_io_uring(io_uring)
    assert "machine" in machine


def test_help_names_every_option(program: Path, tmp_path: Path) -> None:
    with running(tmp_path, program, "--help") as child:
        assert child.wait() == 0
        for option in ("connections", "request-bytes", "response-bytes", "rounds", "seconds"):
            assert f"--{option}" in child.output()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--connections 0", "--connections takes a whole number from 1"),
        ("--response-bytes 1000000", "--response-bytes takes a whole number"),
        ("--seconds soon", "not 'soon'"),
        ("--seconds nan", "not 'nan'"),
        ("--rounds 1.5", "not '1.5'"),
        ("more", "'more' is not an option"),
        ("--fast", "unrecognized option"),
    ],
)
def test_refuses_bad_arguments_in_one_line(program: Path, arguments: str, words: str) -> None:
    assert words in refusal(program, *arguments.split())
