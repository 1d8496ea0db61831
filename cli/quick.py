"""What is answered without asking anybody: help, versions, completion scripts.

People wait for these, and shells run them at every start: nothing is imported for them, not even what is
imported everywhere else, so a file is read instead. A test holds the modules of such a run against a
list.
"""

from __future__ import annotations

from linkerd2_py import __version__

# Known to type checkers by its name; `typing` itself costs more than all of this.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SHELLS = ("bash", "zsh", "fish")
_HELP = ("-h", "--help")


def quick_answer(words: Sequence[str]) -> str | None:
    """The whole output; None for words that need more than a file."""
    if not words or (len(words) == 1 and words[0] in _HELP):
        return read_text("help.txt")
    if words[0] == "version" and "--client" in words and {*words[1:]} <= {"--client", "--short"}:
        return client_version(short="--short" in words) + "\n"
    if len(words) == 2 and words[0] == "completion" and words[1] in SHELLS:
        return read_text(f"completion.{words[1]}")
    return None


def client_version(*, short: bool) -> str:
    """In one line."""
    return __version__ if short else f"Client version: {__version__}"


def read_text(name: str) -> str:
    """A file of the folder `texts`, without pathlib, which would be an import."""
    with open(f"{__file__.rpartition('/')[0]}/texts/{name}", encoding="utf-8") as file:  # noqa: PTH123
        return file.read()
