"""Every module was compiled together with its own .pxd.

Cython does not complain when it cannot find that file; it leaves out what only the file declares. So what it
declares is looked for in the compiled module: exported C functions, and attributes that Python may see.
"""

import re
from importlib import import_module
from pathlib import Path

import pytest

EXT = Path(__file__).parents[3] / "_ext"
FUNCTION = re.compile(
    r"^cdef (?!inline|extern|class|enum|struct|union|packed)[^=:(]*?(\w+)\(", re.MULTILINE
)
CLASS = re.compile(r"^cdef class (\w+)[^:\n]*:\n((?:(?:[ \t].*)?\n)*)", re.MULTILINE)
ATTRIBUTE = re.compile(r"^    cdef (?:public|readonly) \S+ ([\w, ]+)", re.MULTILINE)

CONTRACTS = [path for path in sorted(EXT.rglob("*.pxd")) if path.with_suffix(".pyx").exists()]


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: str(path.relative_to(EXT)))
def test_what_the_pxd_declares_exists(path: Path) -> None:
    name = ".".join(("linkerd2_py._ext", *path.relative_to(EXT).with_suffix("").parts))
    module = import_module(name)
    contract = path.read_text()
    exported = getattr(module, "__pyx_capi__", {})
    assert set(FUNCTION.findall(contract)) <= set(exported)
    for class_name, body in CLASS.findall(contract):
        declared = {word.strip() for line in ATTRIBUTE.findall(body) for word in line.split(",")}
        assert declared <= set(dir(getattr(module, class_name))), class_name


def test_there_are_contracts_to_look_at() -> None:
    assert CONTRACTS
