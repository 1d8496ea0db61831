"""Break the project on purpose, one listed way after the other, and see that a test notices: `python -m
tools.mutate [WORD ...]`.

tools/mutations.toml lists the breaks; with words, only those whose name or file has one of them. Everything
happens in a copy of the tree, whose engine is compiled anew where a break is in it. A break that no test
notices is a test that is missing. Ends with status 1 when one survived, and 2 when the list itself is wrong.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tools/mutations.toml"
# What is compiled already need not be compiled again; times are kept, for builders compare them.
COMPILED = ("build/cython", "build/temp.*", "build/lib.*")
# Whoever takes longer waits for what a break keeps from coming.
TEST_LIMIT_S = 300.0
FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
NO_FAILURE, FAILURE, USAGE, NO_TESTS = 0, 1, 4, 5  # how pytest ends


class ListError(Exception):
    """The list does not fit the tree."""


@dataclass(frozen=True, slots=True)
class Break:
    """One deliberate mistake, and the tests that must see it."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    @property
    def area(self) -> str:
        return self.file.partition("/")[0]

    @property
    def compiled(self) -> bool:
        return self.file.startswith("_ext/")


def read(path: Path) -> list[Break]:
    """All breaks of the list."""
    listed = tomllib.loads(path.read_text())["break"]
    return [Break(**{**one, "tests": tuple(one["tests"])}) for one in listed]


def problems(breaks: Iterable[Break], root: Path) -> list[str]:
    """What does not fit the tree: whoever moves code moves its breaks."""
    found = []
    for one in breaks:
        source = root / one.file
        count = source.read_text().count(one.before) if source.is_file() else 0
        if count != 1:
            found.append(f"{one.name}: {one.before!r} is {count} times in {one.file}")
        if one.before == one.after:
            found.append(f"{one.name}: changes nothing")
        missing = [test for test in one.tests if not (root / test.partition("::")[0]).exists()]
        if missing or not one.tests:
            found.append(f"{one.name}: no tests at {missing}")
    return found


class Tree:
    """A copy of the project that may be broken."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._stale = True
        """Whether the engine's sources are not those it was compiled from."""

    @classmethod
    def copy(cls, source: Path, target: Path) -> "Tree":
        """What git knows or would take, and what is compiled of it."""
        words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(words, cwd=source, capture_output=True, text=True, check=True)
        modules = (str(path.relative_to(source)) for path in (source / "_ext").rglob("*.so"))
        for name in {*listed.stdout.split("\0"), *modules} - {""}:
            if (source / name).exists():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source / name, target / name, follow_symlinks=False)
        for folder in (found for pattern in COMPILED for found in source.glob(pattern)):
            shutil.copytree(folder, target / folder.relative_to(source), symlinks=True)
        return cls(target)

    @contextmanager
    def broken(self, one: Break) -> Iterator[None]:
        """The tree with this break and no other."""
        source = self.root / one.file
        sound = source.read_text()
        source.write_text(sound.replace(one.before, one.after))
        self._stale = self._stale or one.compiled
        try:
            yield
        finally:
            source.write_text(sound)
            self._stale = self._stale or one.compiled

    def compile(self) -> None:
        """The engine, where it is not what its sources say."""
        if not self._stale or not (self.root / "setup.py").exists():
            return
        words = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        done = subprocess.run(words, cwd=self.root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ListError(f"does not compile:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        self._stale = False

    def test(self, tests: Sequence[str]) -> str | None:
        """The first test that fails; none when all pass."""
        self.compile()
        status, output = self._run_tests(tests)
        if status in {NO_FAILURE, USAGE, NO_TESTS}:
            if status != NO_FAILURE:
                raise ListError(f"pytest ended with {status}:\n{output[-2000:]}")
            return None
        failure = FIRST_FAILURE.search(output)
        if status != FAILURE and failure is not None and "::" not in failure[1]:
            raise ListError(f"{failure[1]} cannot even be loaded:\n{output[-2000:]}")
        return failure[1] if failure else f"the tests ended with {status}"

    def _run_tests(self, tests: Sequence[str]) -> tuple[int, str]:
        words = ["-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", *tests]
        with tempfile.TemporaryFile("w+") as output:
            running = subprocess.Popen(
                [sys.executable, *words],
                cwd=self.root,
                # Before the installed package, which is the tree that was copied.
                env={**os.environ, "PYTHONPATH": str(self.root / "src"), "COLUMNS": "500"},
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            try:
                status = running.wait(TEST_LIMIT_S)
            except subprocess.TimeoutExpired:
                status = signal.SIGALRM
            finally:
                _end(running)
            output.seek(0)
            return status, output.read()


def _end(running: subprocess.Popen[bytes]) -> None:
    """With all that it started: a test that was broken may leave programs behind."""
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def try_all(tree: Tree, breaks: Sequence[Break]) -> list[Break]:
    """Those that no test noticed; each is told as it is tried."""
    survivors = []
    # Engine last: those before need no compiler.
    for one in sorted(breaks, key=lambda one: one.compiled):
        with tree.broken(one):
            try:
                noticed = tree.test(one.tests)
            except ListError as error:
                raise ListError(f"{one.name} ({one.file}): {error}") from None
        if noticed is None:
            survivors.append(one)
        print(f"{'SURVIVED' if noticed is None else 'caught':8}  {one.name}", flush=True)
        print(f"          {one.file}: {noticed or 'every test passed: ' + ' '.join(one.tests)}")
    return survivors


def table(breaks: Sequence[Break], survivors: Sequence[Break]) -> str:
    """As it stands in CONTRIBUTING."""
    rows = ["| where | breaks | caught |", "|---|---|---|"]
    for area in sorted({one.area for one in breaks}):
        total = [one for one in breaks if one.area == area]
        caught = [one for one in total if one not in survivors]
        rows.append(f"| `{area}` | {len(total)} | {len(caught)} |")
    return "\n".join(rows)


def run(breaks: Sequence[Break], root: Path) -> int:
    """The exit status."""
    if found := problems(breaks, root):
        raise ListError("\n".join(found))
    with tempfile.TemporaryDirectory(prefix="mutate-") as scratch:
        tree = Tree.copy(root, Path(scratch))
        unbroken = tree.test(sorted({test for one in breaks for test in one.tests}))
        if unbroken is not None:
            raise ListError(f"fails without any break: {unbroken}")
        survivors = try_all(tree, breaks)
    print(table(breaks, survivors))
    return 1 if survivors else 0


def main(words: Sequence[str]) -> int:
    """See the module."""
    breaks = [
        one
        for one in read(LIST)
        if not words or any(word in f"{one.name} {one.file}" for word in words)
    ]
    try:
        return run(breaks, ROOT)
    except ListError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
