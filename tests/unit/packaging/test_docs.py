"""What the pages name exists: methods in their classes, files, and packages that say what they are."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.release_only

ROOT = Path(__file__).parents[3]
FOLDERS = ("_ext", "proxy", "controlplane", "cli", "proto", "src/linkerd2_py/base", "tools", "docs")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))]
)
METHOD = re.compile(r"`([A-Z]\w+)\.(\w+)`")
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)`")

SOURCES = {
    path: path.read_text()
    for folder in FOLDERS
    for kind in ("*.py", "*.pyx", "*.pxd")
    for path in (ROOT / folder).rglob(kind)
}


def has_method(class_name: str, method: str) -> bool:
    a_class, a_method = rf"\bclass {class_name}\b", rf"\bc?p?def\b.*\b{method}\("
    return any(re.search(a_class, text) and re.search(a_method, text) for text in SOURCES.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    strangers = [".".join(pair) for pair in METHOD.findall(text) if not has_method(*pair)]
    assert not strangers
    starts = (ROOT, page.parent)
    assert not [n for n in FILE.findall(text) if not any((s / n).exists() for s in starts)]


def test_every_package_says_what_it_is() -> None:
    packages = [
        path for path in SOURCES if path.name == "__init__.py" and path.parent.name != "gen"
    ]
    assert packages
    silent = [path for path in packages if not ast.get_docstring(ast.parse(SOURCES[path]))]
    assert not silent
