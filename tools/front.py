"""What `./mesh` does once there is a Python environment: builds, checks and tests.

python -m tools.front build [--debug] [--unmetered] | check | test | pods
"""

import shutil
import sys
import time
from pathlib import Path

from tools import stages, web_bundle
from tools.beside import beside
from tools.engines import (
    SANITIZER_REPORT,
    compile_copy,
    compile_in_place,
    compiling_beside,
    environment_of,
)
from tools.progress import LOGS, Command, log_of, step

SANITIZER_LINES = 40


def module(name: str, *words: str) -> Command:
    return Command([sys.executable, "-m", name, *words])


def program(name: str, *words: str) -> Command:
    """A script of our environment."""
    return Command([str(Path(sys.executable).with_name(name)), *words])


def tool(name: str) -> Command:
    return Command([sys.executable, f"tools/{name}.py"])


def web_page(*, needed: bool) -> None:
    """The dashboard's, of its newest sources. Where nobody can do without it, its absence is a failure; else
    it is said, and everything else works.
    """
    if web_bundle.is_current():
        return
    step(
        "web page",
        Command([sys.executable, "tools/web_bundle.py", *([] if needed else ["--optional"])]),
    )
    if not web_bundle.is_current():
        print(log_of("web page").read_text(errors="replace").splitlines()[-1], file=sys.stderr)


def lint() -> None:
    step("lint", program("ruff", "check", "."), program("ruff", "format", "--check", "."))
    files = ("bench", "image", "tests/support", "tests/conftest.py", "tools")
    step("types", program("mypy", "-p", "linkerd2_py"), program("mypy", *files))
    step("types of the web page", Command([sys.executable, "tools/web_bundle.py", "--types"]))
    step("widths of lines", tool("check_sizes"))
    step("layers", program("lint-imports"), tool("check_cimports"))
    if shutil.which("shellcheck"):
        step("shell", Command(["shellcheck", "mesh", ".ci/run"]))


def check() -> int:
    """What is quick."""
    compile_in_place()
    web_page(needed=True)
    lint()
    run = stages.Run()
    run.stage(stages.UNIT)
    return 0


def test() -> int:
    """Everything. The other engines are compiled while tests run that do not need them."""
    started = time.monotonic()
    compile_in_place()
    web_page(needed=True)
    run = stages.Run()
    lint()
    step("conformance programs", module("tests.support.conformance_programs"))
    with beside("tests.support.cluster", "build", "--pods") as cluster_programs:
        with compiling_beside("debug") as debug_engine:
            run.stage(stages.RELEASE)
            run.stage(stages.RELEASE_INTEGRATION)
            debug_engine()
        cluster_programs()
    run.stage(stages.CLUSTER)
    with compiling_beside("sanitized") as sanitized_engine:
        run.stage(stages.debug(environment_of("debug")))
        run.stage(stages.debug_integration(environment_of("debug")))
        sanitized_engine()
    run_sanitized(run)
    run_pods(run)
    took = int(time.monotonic() - started)
    print(f"— everything, in {took // 60} min {took % 60} s")
    return run.summarize()


def pods() -> int:
    """What only real pods can show, alone."""
    compile_in_place()
    web_page(needed=True)
    step("cluster programs", module("tests.support.cluster", "build", "--pods"))
    run = stages.Run()
    run_pods(run)
    return run.summarize()


def run_pods(run: stages.Run) -> None:
    """With images of what is here."""
    step("images", module("image"))
    run.stage(stages.PODS)


def run_sanitized(run: stages.Run) -> None:
    """When it fails, with what the sanitizer wrote."""
    reports = LOGS.glob(f"{SANITIZER_REPORT}.*")
    for old in reports:
        old.unlink()
    try:
        run.stage(stages.sanitized(environment_of("sanitized")))
    except SystemExit:
        for report in LOGS.glob(f"{SANITIZER_REPORT}.*"):
            lines = report.read_text(errors="replace").splitlines()[:SANITIZER_LINES]
            print(*lines, sep="\n", file=sys.stderr)
        raise


def build(flavours: list[str]) -> int:
    """The release engine in place, the dashboard's page, and copies of these flavours."""
    compile_in_place()
    web_page(needed=False)
    for flavour in flavours:
        compile_copy(flavour)
    return 0


def main(words: list[str]) -> int:
    """One command of the front door, which knows which there are."""
    if words[0] == "build":
        return build([word.removeprefix("--") for word in words[1:]])
    return {"check": check, "test": test, "pods": pods}[words[0]]()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
