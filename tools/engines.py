"""How each flavour of the engine is compiled, and how something runs with it.

The release engine is compiled in place. Every other flavour is compiled into a copy of the whole package in
build/FLAVOUR, which stands before ours on PYTHONPATH.
"""

import fcntl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tools.beside import beside
from tools.progress import LOGS, Command, step

ENVIRONMENT: dict[str, dict[str, str]] = {
    "debug": {"L5D_DEBUG": "1"},
    "sanitized": {"L5D_DEBUG": "1", "L5D_SANITIZE": "address,undefined"},
    # For the benchmark that shows what counting costs.
    "unmetered": {"L5D_METRICS": "0"},
}
# The copy must be what Python imports: testing the release build twice would go unnoticed.
ASSERTS = "import linkerd2_py._ext.core.debug as debug; assert debug.enabled(), debug.__file__"
SANITIZER_REPORT = "sanitizer"


def setup(*words: str, **env: str) -> Command:
    return Command([sys.executable, "setup.py", "-q", *words], {"L5D_PROGRESS": "1", **env})


def compile_in_place() -> None:
    """The release engine; only what changed."""
    with building():
        step("engine", setup("build_ext", "--inplace"))


def compile_copy(flavour: str) -> None:
    """As a step of its own, in the foreground."""
    with building():
        forget_removed(Path("build", flavour))
        step(name_of(flavour), *commands(flavour))


def name_of(flavour: str) -> str:
    return "engine without metrics" if flavour == "unmetered" else f"{flavour} engine"


def commands(flavour: str) -> list[Command]:
    """Compile the copy, then make sure that it is one."""
    made = [setup("build", "--build-lib", f"build/{flavour}", **ENVIRONMENT[flavour])]
    if "L5D_DEBUG" in ENVIRONMENT[flavour]:
        made.append(Command([sys.executable, "-c", ASSERTS], environment_of(flavour)))
    return made


def forget_removed(copy: Path) -> None:
    """Modules that were renamed or removed must not live on in the copy."""
    for module in copy.rglob("*.py"):
        module.unlink()
    for module in copy.rglob("*.so"):
        name = module.name.partition(".")[0]
        source = Path("src", module.relative_to(copy)).with_name(f"{name}.pyx")
        # The engine is linked of all modules that there are.
        if name != "engine" and not source.exists():
            module.unlink()


def environment_of(flavour: str) -> Mapping[str, str]:
    """What makes Python import the copy."""
    path = {"PYTHONPATH": str(Path("build", flavour).resolve())}
    return path | _sanitizer() if flavour == "sanitized" else path


def _sanitizer() -> dict[str, str]:
    # Into files: what a test process writes as it goes down is lost with the output that pytest captured.
    report = f"log_path={LOGS.resolve()}/{SANITIZER_REPORT}"
    library = subprocess.run(
        ["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    return {
        "LD_PRELOAD": library.stdout.strip(),
        # Python's own allocator would hide a use after free.
        "PYTHONMALLOC": "malloc",
        # Leaks are the counters' business: Python itself keeps memory to the end. An allocation that cannot
        # be had answers NULL, as without the sanitizer: a test asks for one.
        "ASAN_OPTIONS": f"detect_leaks=0:abort_on_error=1:allocator_may_return_null=1:{report}",
        "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:{report}",
    }


@contextmanager
def building() -> Iterator[None]:
    """Two runs at once must not build into the same folders."""
    lock = Path("build/.lock")
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compiling_beside(flavour: str) -> AbstractContextManager[Callable[[], None]]:
    """Compiles a copy while something else runs."""
    return beside("tools.engines", flavour)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        compile_copy(each)
