"""The engine's layers, checked over .pyx and .pxd files (import-linter reads Python only).

A module may cimport or import from its own unit and from lower layers; never sideways, never upwards, and never
a framework. Prints one line per offence and ends with status 1 if there is one.
"""

import re
import sys
from pathlib import Path

# Lowest first; units of one layer do not know each other. A unit is a folder, or a module of one.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("core",),
    ("metrics",),
    ("io",),
    ("detect", "balance"),
    ("exchange",),  # knows codecs and backends only by their abstract bases
    ("http1", "http2"),
    ("pool",),
    ("route",),
    ("exchange.local",),  # the proxy's own clients and servers, on top of everything
)
FORBIDDEN = re.compile(r"^\s*(?:from|c?import)\s+(asyncio|grpc|google|kubernetes)\b")
IMPORT = re.compile(
    r"^\s*(?:from\s+linkerd2_py\._ext\.(?P<source>[\w.]+)\s+c?import\s+\(?(?P<names>[\w, ]*)"
    r"|c?import\s+linkerd2_py\._ext\.(?P<plain>[\w.]+))"
)
RELATIVE = re.compile(r"^\s*from\s+\.")


def unit_of(module: str) -> str | None:
    """The unit that `module` (below _ext) belongs to; the longest name that matches."""
    units = [unit for layer in LAYERS for unit in layer]
    matching = [unit for unit in units if module == unit or module.startswith(f"{unit}.")]
    return max(matching, key=len, default=None)


def layer_of(unit: str) -> int:
    return next(rank for rank, layer in enumerate(LAYERS) if unit in layer)


def is_allowed(importer: str, imported: str) -> bool:
    """Whether the unit `importer` may use the unit `imported`."""
    return importer == imported or layer_of(imported) < layer_of(importer)


def imported_modules(line: str) -> list[str]:
    """Modules below _ext that one source line imports (`from package cimport module` names the module)."""
    found = IMPORT.match(line)
    if found is None:
        return []
    if found["plain"]:
        return [found["plain"]]
    source = found["source"]
    names = [name.split(" as ")[0].strip() for name in found["names"].split(",")]
    return [f"{source}.{name}" if "." not in source else source for name in names if name] or [
        source
    ]


def offences(path: Path, root: Path) -> list[str]:
    """What is wrong in one file, each with its line."""
    module = ".".join(path.relative_to(root).with_suffix("").parts)
    importer = unit_of(module)
    if importer is None:
        return [f"{path}: belongs to no layer: add its folder to tools/check_cimports.py"]
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path}:{number}"
        if forbidden := FORBIDDEN.match(line):
            found.append(f"{where}: the engine must not know {forbidden[1]}")
        if RELATIVE.match(line):
            found.append(f"{where}: relative import; name linkerd2_py._ext.… in full")
        for imported in {unit_of(target) or target for target in imported_modules(line)}:
            if unit_of(imported) is None:
                found.append(f"{where}: {imported} belongs to no layer")
            elif not is_allowed(importer, imported):
                found.append(f"{where}: {importer} must not know {imported}")
    return found


def main(root: Path) -> int:
    """Check every Cython file below `root`; the exit status."""
    paths = sorted([*root.rglob("*.pyx"), *root.rglob("*.pxd")])
    found = [offence for path in paths for offence in offences(path, root)]
    for offence in found:
        print(offence)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "_ext")))
