"""One TCP label set: opens, closes by errno, bytes."""

import errno
import subprocess
import sys

from linkerd2_py._ext.core.debug import enabled
from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry
from tests.support.wait import patience

MS = 1_000_000


def lines(registry: Registry, start: str) -> list[str]:
    text = b"".join(registry.render(0)).decode()
    return [line for line in text.splitlines() if line.startswith(start)]


def test_open_connections_are_opens_without_closes() -> None:
    registry = Registry()
    handle = door.tcp(registry, b'peer="src"')
    for _ in range(3):
        door.opened(handle)
    door.closed(handle)
    assert lines(registry, "tcp_open") == [
        'tcp_open_total{peer="src"} 3',
        'tcp_open_connections{peer="src"} 2',
    ]


def test_closes_are_split_by_errno_and_clean_ones_come_first() -> None:
    registry = Registry()
    handle = door.tcp(registry, b'peer="dst"')
    for code in (errno.ECONNRESET, 0, errno.ECONNRESET):
        door.opened(handle)
        door.closed(handle, code, duration_ns=7 * MS)
    assert lines(registry, "tcp_close_total") == [
        'tcp_close_total{peer="dst",errno=""} 1',
        'tcp_close_total{peer="dst",errno="ECONNRESET"} 2',
    ]
    assert lines(registry, "tcp_connection_duration_ms_sum") == [
        'tcp_connection_duration_ms_sum{peer="dst",errno=""} 7',
        'tcp_connection_duration_ms_sum{peer="dst",errno="ECONNRESET"} 14',
    ]


def test_codes_without_a_name_share_one_series() -> None:
    registry = Registry()
    handle = door.tcp(registry, b"")
    for code in (9001, 9002, 9001, 2**31 - 1):
        door.opened(handle)
        door.closed(handle, code)
    [line] = lines(registry, "tcp_close_total")
    assert line.endswith(" 4")


def test_bytes_are_added_by_transports() -> None:
    registry = Registry()
    door.carried(door.tcp(registry, b""), read=5, write=7)
    assert lines(registry, "tcp_read") + lines(registry, "tcp_write") == [
        "tcp_read_bytes_total 5",
        "tcp_write_bytes_total 7",
    ]


def test_a_negative_duration_counts_as_none() -> None:
    registry = Registry()
    handle = door.tcp(registry, b"")
    door.opened(handle)
    door.closed(handle, duration_ns=-5)
    assert lines(registry, 'tcp_connection_duration_ms_bucket{errno="",le="1"}') == [
        'tcp_connection_duration_ms_bucket{errno="",le="1"} 1'
    ]


def test_one_close_too_many_never_underflows() -> None:
    """A debug build ends the process, a release build stays at zero."""
    program = (
        "from linkerd2_py._ext.metrics import testing as door\n"
        "from linkerd2_py._ext.metrics.registry import Registry\n"
        "r = Registry()\ndoor.closed(door.tcp(r, b''))\n"
        "print(b'tcp_open_connections 0' in b''.join(r.render(0)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=30 * patience(),
    )
    if enabled():
        assert done.returncode < 0 and "closed more often than opened" in done.stderr
    else:
        assert done.stdout == "True\n"
