"""What every test gets: Hypothesis profiles, its turn at what there is once on a machine, a look for leaked
descriptors and engine objects.
"""

import faulthandler
import gc
import os
import re
import signal
from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.wait import eventually, patience

settings.register_profile(
    "fast", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", settings.get_profile("fast"), max_examples=5000)
settings.load_profile(os.environ.get("L5D_HYPOTHESIS", "fast"))

# A shell's background job ignores SIGINT, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A parallel run's workers get the size of a terminal by these (readline exports it), and programs would believe them
# rather than look at their own.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

# gRPC must not follow this process's forks (a child's terminal is made by one): between fork and exec its
# handler may meet descriptors that are closed already, and the child ends before it begins.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

FOLDER = re.compile(r"tests/(?:integration/)?(contract/\w+|\w+)/")
# What there is once on a machine, or is made once for many tests, by the folder of the tests that use it:
# these take turns in a parallel run.
TURNS = {
    "interception": "namespaces",
    "local": "meshes",
    "bench": "processors",
    "packaging": "distribution",
    "image": "images",
    "cluster": "api server",
    "interop": "api server",
    "contract/destination": "recorded cluster",
    "contract/policy": "recorded cluster",
}

# Long enough for libraries that close sockets from threads of their own.
SETTLE_S = 2.0
# For what one test leaves to be ended, a cluster's node among it.
ENDING_S = 300.0


def live_objects() -> dict[str, int]:
    """Live engine objects by kind; empty in a release build, which does not count."""
    try:
        debug = import_module("linkerd2_py._ext.core.debug")
    except ImportError:
        return {}
    counts: dict[str, int] = debug.counts()
    return counts


def open_files() -> dict[str, str]:
    """Descriptor number to what it is, without the one this reading needs.

    Descriptors without a name (epoll, eventfd) are compared only by kind and number: libraries with
    threads of their own keep a few for good.
    """
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except OSError:
            continue
    return {number: name for number, name in found.items() if not _is_lasting(name)}


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A busy machine gives each test less of its processors: the time-out is about what hangs, not about
    that.
    """
    marker = item.get_closest_marker("timeout")
    seconds = float(marker.args[0] if marker else item.config.getini("timeout"))
    item.add_marker(pytest.mark.timeout(seconds * patience()), append=False)
    return (yield)


class Turns(LoadScopeScheduling):
    """What belongs together goes to one worker of a parallel run; every other test to the first
    that is free.
    """

    def _split_scope(self, nodeid: str) -> str:
        place = FOLDER.search(nodeid)
        return TURNS.get(place[1], nodeid) if place else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Turns | None:
    """Not by marks: the plugin's own hook for those is not one that pytest 9 calls."""
    return Turns(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """A test's limit of time is an exception, which an event loop may take for its own. An end that never comes
    ends the process here, and the run says in which test.
    """
    faulthandler.dump_traceback_later(ENDING_S, exit=True)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _is_lasting(name: str) -> bool:
    # The last is where a sanitizer that had something to say goes on writing.
    return name.startswith(("anon_inode:", "/proc/", "/dev/", "/usr/", "/tmp/pytest")) or (
        Path(name).name.startswith("sanitizer.")
    )


def _growth(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    kinds = before.keys() | after.keys()
    change = {kind: after.get(kind, 0) - before.get(kind, 0) for kind in kinds}
    return {kind: count for kind, count in change.items() if count > 0}


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test after which more engine objects live, or more files are open, than before."""
    objects, files = live_objects(), open_files()
    yield
    if request.node.get_closest_marker("keeps_open"):
        return
    for record in caplog.get_records("call"):
        # Their text is written. An exception among them would keep all that lived in its frames.
        record.exc_info = None
        record.args = ()

    def left() -> tuple[dict[str, int], dict[str, str]]:
        now = open_files()
        opened = {number: name for number, name in now.items() if files.get(number) != name}
        return _growth(objects, live_objects()), opened

    def settled() -> bool:
        if not any(left()):
            return True
        gc.collect()
        return not any(left())

    try:
        eventually(settled, deadline_s=SETTLE_S)
    except AssertionError:
        grown, opened = left()
        pytest.fail(f"left behind: engine objects {grown}, descriptors {opened}", pytrace=False)
