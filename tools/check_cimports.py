"""The engine's layers, checked over .pyx and .pxd files (import-linter reads Python only).

A module may cimport or import from its own folder and from lower layers; never sideways, never upwards, never
the rest of the package, and never a framework. Prints one line per offence and ends with status 1 if there is
one.

With --dot it prints the graph of the engine's modules instead, for Graphviz: a cluster per folder, lowest
layer first, and an arrow from each module to those it cimports. Modules for tests are left out.

    python tools/check_cimports.py --dot | dot -Tsvg > engine.svg
"""

import re
import sys
from pathlib import Path

# Lowest first; folders of one layer do not know each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("core",),
    ("metrics",),
    ("io",),
    ("detect", "balance", "tls"),
    ("exchange",),  # knows codecs and backends only by their abstract bases
    ("http1", "http2", "policy", "jwt"),
    ("pool",),
    ("route",),
    ("tap", "observers"),
)
FORBIDDEN = re.compile(
    r"^\s*(?:from|c?import)\s+(asyncio|grpc|google|kubernetes|linkerd2_py\.(?!_ext\b)\w+)\b"
)
IMPORT = re.compile(
    r"^\s*(?:from\s+linkerd2_py\._ext\.(?P<source>\w+)[\w.]*\s+c?import\b"
    r"|from\s+linkerd2_py\._ext\s+c?import\s+\(?(?P<names>[\w, ]+)"
    r"|c?import\s+linkerd2_py\._ext\.(?P<plain>\w+))"
)
RELATIVE = re.compile(r"^\s*from\s+\.")
CIMPORT = re.compile(r"^\s*from\s+linkerd2_py\._ext\.(\w+)\.(\w+)\s+cimport\b", re.MULTILINE)
FOR_TESTS = "testing"  # name of the modules that are in no wheel


def layer_of(folder: str) -> int | None:
    return next((rank for rank, layer in enumerate(LAYERS) if folder in layer), None)


def imported_folders(line: str) -> list[str]:
    """Folders of the engine that one source line imports from."""
    found = IMPORT.match(line)
    if found is None:
        return []
    if found["names"]:
        return [name.split()[0] for name in found["names"].split(",") if name.strip()]
    return [found["source"] or found["plain"]]


def offences(path: Path, root: Path) -> list[str]:
    """What is wrong in one file, each with its line."""
    importer = path.relative_to(root).parts[0]
    rank = layer_of(importer)
    if rank is None:
        return [f"{path}: belongs to no layer: add its folder to tools/check_cimports.py"]
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path}:{number}"
        if forbidden := FORBIDDEN.match(line):
            found.append(f"{where}: the engine must not know {forbidden[1]}")
        if RELATIVE.match(line):
            found.append(f"{where}: relative import; name linkerd2_py._ext.… in full")
        for imported in imported_folders(line):
            other = layer_of(imported)
            if other is None:
                found.append(f"{where}: {imported} belongs to no layer")
            elif imported != importer and other >= rank:
                found.append(f"{where}: {importer} must not know {imported}")
    return found


def cython_files(root: Path) -> list[Path]:
    return sorted([*root.rglob("*.pyx"), *root.rglob("*.pxd")])


def modules(root: Path) -> dict[str, set[str]]:
    """The modules that each cimports, `folder/module` all of them; a .pxd and its .pyx are one."""
    found: dict[str, set[str]] = {}
    for path in cython_files(root):
        if path.stem != FOR_TESTS:
            name = f"{path.parent.name}/{path.stem}"
            uses = {f"{folder}/{module}" for folder, module in CIMPORT.findall(path.read_text())}
            found.setdefault(name, set()).update(uses - {name})
    return found


def dot(root: Path) -> str:
    """The graph of modules in Graphviz' language."""
    graph = modules(root)
    lines = ["digraph engine {", "  rankdir=BT;", "  node [shape=box];"]
    for folder in (folder for layer in LAYERS for folder in layer):
        own = sorted(name for name in graph if name.startswith(f"{folder}/"))
        lines.append(f'  subgraph "cluster_{folder}" {{')
        lines.append(f'    label="{folder}";')
        lines += [f'    "{name}" [label="{name.removeprefix(folder + "/")}"];' for name in own]
        lines.append("  }")
    lines += [f'  "{name}" -> "{used}";' for name in sorted(graph) for used in sorted(graph[name])]
    return "\n".join([*lines, "}"])


def main(root: Path) -> int:
    """Check every Cython file below `root`; the exit status."""
    paths = cython_files(root)
    found = [offence for path in paths for offence in offences(path, root)]
    for offence in found:
        print(offence)
    return 1 if found else 0


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--dot"]
    engine = Path(words[0] if words else "_ext")
    if "--dot" in sys.argv:
        print(dot(engine))
    else:
        sys.exit(main(engine))
