"""One setting of the sidecar as a value: what it is called, how its text is read, what it is when nobody
says, and what for.

Parsing, checking and the tables of the README come from the settings of `table`; whoever wants a value
asks for it by its setting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from linkerd2_py.base.names import PROXY_ENV_PREFIX

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Fate = Literal["used", "missed", "ignored", "refused"]


class Setting(NamedTuple, Generic[T_co]):
    """`shown` is the default as a person writes it, "" for none. `keeps_empty`: an empty text has a
    meaning; otherwise it counts as unset. `fate` says what becomes of it. Settings of later features are
    checked as all are, and then ignored where nobody would notice, or missed: whoever asks for one is
    told what is so without it, which is what `meaning` says. Refused is what would make a proxy somebody
    else if it were left out.
    """

    name: str
    parse: Callable[[str], T_co]
    default: T_co
    meaning: str
    shown: str = ""
    keeps_empty: bool = False
    fate: Fate = "used"

    @property
    def variable(self) -> str:
        """What it is called in the environment."""
        return PROXY_ENV_PREFIX + self.name


def setting(name: str, parse: Callable[[str], T], default: str, meaning: str) -> Setting[T]:
    """One that always has a value."""
    return Setting(name, parse, parse(default), meaning, shown=default)


def optional(name: str, parse: Callable[[str], T], meaning: str) -> Setting[T | None]:
    """One that may be left out."""
    return Setting(name, parse, None, meaning)


def listed(name: str, parse: Callable[[str], T], meaning: str, default: str = "") -> Setting[T]:
    """A list, which may be empty."""
    return Setting(name, parse, parse(default), meaning, shown=default, keeps_empty=True)


def ignored(name: str, parse: Callable[[str], object] = str) -> Setting[object]:
    """Accepted, and without effect yet: leaving it out changes nothing for the traffic."""
    return Setting(name, parse, None, "", fate="ignored")


def missed(name: str, parse: Callable[[str], object], instead: str) -> Setting[object]:
    """Accepted, and without effect yet, which whoever asks for it must hear. A value that is false asks for
    nothing.
    """
    return Setting(name, parse, None, instead, fate="missed")


def refused(name: str, reason: str) -> Setting[object]:
    """Without it the proxy would be somebody else."""

    def refuse(text: str) -> object:
        raise ValueError(f"{reason} (set to {text!r})")

    return Setting(name, refuse, None, "", fate="refused")


class Values:
    """What the environment says: a value for each setting."""

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}

    def __getitem__(self, one: Setting[T]) -> T:
        value: T = self._given.get(one.name, one.default)
        return value

    def read(self, one: Setting[Any], text: str) -> None:
        """Take the value from its text. ValueError says what is wrong with it."""
        if text or one.keeps_empty:
            self._given[one.name] = one.parse(text)
