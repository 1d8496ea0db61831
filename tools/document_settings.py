"""Write the tables of the proxy's settings into the README: `python tools/document_settings.py`.

They come from the declarations in proxy/config/table.py, and stand between two marks.
"""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from linkerd2_py.proxy.config.setting import Fate, Setting
from linkerd2_py.proxy.config.table import SETTINGS

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN = "<!-- From proxy/config/table.py, by tools/document_settings.py. -->\n"
END = "<!-- End of what is written by a tool. -->\n"
IGNORED = "Accepted without effect, because leaving them out changes nothing for the traffic:"
MISSED = "Known and checked, but not used yet; a proxy that is asked for one warns of it at start:"
REFUSED = "Refused by name, because without them the proxy would be somebody else:"
WIDTH = 140


def document() -> str:
    """What stands between the marks."""
    rows = "".join(f"{_row(row)}\n" for row in _rows(SETTINGS.values()))
    table = f"| variable | default | meaning |\n|---|---|---|\n{rows}"
    paragraphs = (_paragraph(IGNORED, "ignored"), _paragraph(REFUSED, "refused"))
    return "\n".join((table, _missed(SETTINGS.values()), *paragraphs))


def replaced(text: str) -> str:
    """The README with what is declared now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{document()}\n{END}{after}"


def _rows(settings: Iterable[Setting[Any]]) -> list[list[Setting[Any]]]:
    """Settings that mean the same share a row."""
    found: dict[str, list[Setting[Any]]] = {}
    for one in settings:
        if one.fate == "used":
            found.setdefault(one.meaning, []).append(one)
    return list(found.values())


def _row(row: Sequence[Setting[Any]]) -> str:
    names = " ".join(f"`{one.name}`" for one in row)
    defaults = [one.shown for one in row]
    shown = defaults[:1] if len(set(defaults)) == 1 else defaults
    default = " ".join(f"`{text}`" for text in shown if text) or "—"
    return f"| {names} | {default} | {row[0].meaning} |"


def _missed(settings: Iterable[Setting[Any]]) -> str:
    rows = (f"| `{one.name}` | {one.meaning} |\n" for one in settings if one.fate == "missed")
    return f"{MISSED}\n\n| variable | what is so instead |\n|---|---|\n{''.join(rows)}"


def _paragraph(title: str, fate: Fate) -> str:
    names = ", ".join(f"`{one.name}`" for one in SETTINGS.values() if one.fate == fate)
    return "\n".join((title, *textwrap.wrap(f"{names}.", WIDTH, break_on_hyphens=False), ""))


if __name__ == "__main__":
    README.write_text(replaced(README.read_text(encoding="utf-8")), encoding="utf-8")
