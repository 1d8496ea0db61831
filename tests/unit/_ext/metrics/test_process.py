"""process_*: the process's own numbers, against what the kernel says."""

import os
import resource
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry


def numbers() -> dict[str, float]:
    text = b"".join(Registry().render(0)).decode()
    pairs = (line.split(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_the_start_time_is_the_kernel_s() -> None:
    started = psutil.Process().create_time()
    assert numbers()["process_start_time_seconds"] == pytest.approx(started, abs=2)


def test_the_clock_the_age_and_the_threads_are_the_kernel_s() -> None:
    found = numbers()
    assert found["process_clock_time_seconds"] == pytest.approx(
        datetime.now(UTC).timestamp(), abs=30
    )
    age = found["process_clock_time_seconds"] - found["process_start_time_seconds"]
    assert found["process_uptime_seconds_total"] == pytest.approx(age, abs=2)
    assert found["process_threads"] >= 1
    assert numbers()["process_uptime_seconds_total"] >= found["process_uptime_seconds_total"]


def test_cpu_time_never_goes_back() -> None:
    first = numbers()["process_cpu_seconds_total"]
    assert 0 < first <= numbers()["process_cpu_seconds_total"]


def test_limits_and_sizes_are_the_kernel_s() -> None:
    found = numbers()
    assert found["process_max_fds"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert found["process_virtual_memory_bytes"] > found["process_resident_memory_bytes"] > 2**20
    assert found["process_virtual_memory_bytes"] % os.sysconf("SC_PAGESIZE") == 0


def test_open_descriptors_are_counted() -> None:
    before = numbers()["process_open_fds"]
    with Path(os.devnull).open("rb"), Path(os.devnull).open("rb"):
        assert numbers()["process_open_fds"] == before + 2


def test_walking_the_descriptors_agrees_and_is_done_in_steps() -> None:
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(600)]
    try:
        count, steps = door.walked_fds()
        # Listing the folder opens one descriptor itself.
        assert count == len(list(Path("/proc/self/fd").iterdir())) - 1
        assert steps > 2
    finally:
        for descriptor in opened:
            os.close(descriptor)


def test_descriptors_run_out_and_the_rest_is_still_written() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    registry = Registry()
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        text = b"".join(registry.render(0))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert b"process_start_time_seconds" in text and b"process_max_fds 3" in text
    assert b"process_resident_memory_bytes" not in text
