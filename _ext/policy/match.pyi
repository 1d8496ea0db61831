from collections.abc import Iterable

from linkerd2_py._ext.policy.regex import Regex

class Condition:
    """On the head of a request: one of those that the functions below make. ValueError where it would be too
    large or too deep."""

    @property
    def size(self) -> int:
        """How many steps it takes at most."""

def all_of(parts: Iterable[Condition]) -> Condition:
    """All hold; of none: always."""

def any_of(parts: Iterable[Condition]) -> Condition:
    """One of them holds; of none: never."""

def inverse(part: Condition) -> Condition: ...
def path(text: bytes) -> Condition:
    """The path, without its query, is this."""

def path_prefix(text: bytes) -> Condition:
    """The path begins with these segments; one slash at the end does not count."""

def path_regex(regex: Regex) -> Condition: ...
def host(text: bytes) -> Condition:
    """The authority, without its port, is this, whatever its case; a dot at its end does not count."""

def host_below(text: bytes) -> Condition:
    """The authority is some name below this domain; not the domain itself."""

def method(name: bytes) -> Condition: ...
def header(name: bytes, value: bytes | Regex) -> Condition:
    """Some field of this name, whatever its case, has this value."""

def http2() -> Condition:
    """The request came over HTTP/2."""

def query(name: bytes, value: bytes | Regex) -> Condition:
    """Some parameter of this name has this value, both decoded."""
