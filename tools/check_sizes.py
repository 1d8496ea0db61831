"""Report how long functions and files are, beside the sizes we aim at, and refuse lines that are
too wide.

Lengths are a report. Python functions are measured from the syntax tree without their docstring, Cython
functions by indentation. The width of lines is a rule, for ruff reads no Cython and wraps no prose: status 1,
and a line for each that breaks it.
"""

import ast
import re
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("_ext", "proxy", "controlplane", "cli", "src/linkerd2_py/base", "tools", "tests")
AIM = "aim: function median 8, p90 30, longest 60; file median 150, longest 600"
LONG_FUNCTION = 60
LONG_FILE = 600
MOST = 10  # lines of each list
WIDEST = 110  # columns of a line: two files fit side by side
CODE = ("*.py", "*.pyx", "*.pxd", "*.pyi")
# The tables of tests hold what goes over the wire and what people read, a row each, however wide.
NARROW = tuple(folder for folder in (*FOLDERS, "bench", "charts", "image") if folder != "tests")

CYTHON_DEF = re.compile(
    r"^(\s*)(?:async\s+)?(?:c?p?def|cpdef)\s+(?!enum|struct|class|extern|union)[^=]*?(\w+)\s*\("
)


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Lines, and what they belong to."""

    lines: int
    where: str


def python_functions(path: Path) -> Iterator[Size]:
    try:
        tree = ast.parse(path.read_text())
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            is_prose = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            prose = (first.end_lineno or 0) - first.lineno + 1 if is_prose else 0
            lines = (node.end_lineno or node.lineno) - node.lineno + 1 - prose
            yield Size(lines, f"{path}:{node.lineno} {node.name}")


def cython_functions(path: Path) -> Iterator[Size]:
    lines = path.read_text().splitlines()
    for start, line in enumerate(lines):
        if found := CYTHON_DEF.match(line):
            indent = len(found[1])
            end = start + 1
            last = start
            while end < len(lines) and _continues(lines[end], indent):
                last = end if lines[end].strip() else last
                end += 1
            yield Size(last - start + 1, f"{path}:{start + 1} {found[2]}")


def _continues(line: str, indent: int) -> bool:
    """Whether `line` still belongs to a function whose `def` is indented by `indent`."""
    text = line.lstrip()
    return not text or len(line) - len(text) > indent or text.startswith(")")


def wide_lines(folder: Path) -> Iterator[str]:
    """Lines of a folder beyond the widest, but for generated ones."""
    paths = sorted(path for kind in CODE for path in folder.rglob(kind))
    for path in (path for path in paths if "gen" not in path.parts):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > WIDEST:
                yield f"{path}:{number}: {len(line)} columns, more than {WIDEST}"


def report(name: str, functions: list[Size], files: list[Size]) -> None:
    """One row of figures, as in `_ext  12 files …`."""
    if not files:
        return
    lengths = [size.lines for size in functions] or [0]
    p90 = statistics.quantiles(lengths, n=10)[-1] if len(lengths) > 1 else lengths[0]
    print(
        f"{name:22} {len(files):4} files, median {statistics.median(s.lines for s in files):4.0f},"
        f" longest {max(files).lines:4};  {len(functions):4} functions,"
        f" median {statistics.median(lengths):3.0f}, p90 {p90:3.0f}, longest {max(lengths):3}"
    )


def main() -> int:
    """Print the figures per folder, then what is longer than we aim at; the exit status is about
    wide lines.
    """
    all_functions: list[Size] = []
    all_files: list[Size] = []
    for folder in FOLDERS:
        found = (p for kind in ("*.py", "*.pyx") for p in Path(folder).rglob(kind))
        paths = sorted(path for path in found if "gen" not in path.parts)
        functions: list[Size] = []
        for path in paths:
            measure = python_functions if path.suffix == ".py" else cython_functions
            functions.extend(measure(path))
        files = [Size(len(path.read_text().splitlines()), str(path)) for path in paths]
        report(folder, functions, files)
        all_functions += functions
        all_files += files
    long_ones = [size for size in all_functions if size.lines > LONG_FUNCTION]
    long_ones += [size for size in all_files if size.lines > LONG_FILE]
    for size in sorted(long_ones, reverse=True)[:MOST]:
        print(f"  {size.lines:5} lines  {size.where}")
    print(AIM)
    wide = [line for folder in NARROW for line in wide_lines(Path(folder))]
    print("\n".join(wide), end="\n" if wide else "")
    return 1 if wide else 0


if __name__ == "__main__":
    sys.exit(main())
