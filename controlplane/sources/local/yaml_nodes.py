"""Reading YAML nodes by type, remembering where each came from.

Works on composed nodes, not on constructed values: only nodes know their line. Nothing is raised here;
problems are collected, so that one run reports all of them.
"""

import re
from dataclasses import dataclass, field
from typing import Final

import yaml

# Bounded: a thousand digits are no number of anything here.
_WHOLE = re.compile(r"-?[0-9]{1,9}\Z")
# What an escape can write and no program can be given.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

LONGEST_SHOWN: Final = 253
"""Of a key, in a message: no name of anything is longer."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A node with the field it stands for, e.g. `workloads.web.replicas`."""

    node: yaml.Node
    path: str

    @property
    def line(self) -> int:
        """Counted from 1, as editors do."""
        return int(self.node.start_mark.line) + 1

    def below(self, name: str | int, *, node: yaml.Node) -> "Spot":
        """A spot inside this one."""
        if isinstance(name, int):
            return Spot(node, f"{self.path}[{name}]")
        # Whatever a key has in it, a message is one line that can be shown.
        shown = (name if name.isprintable() else ascii(name)[1:-1])[:LONGEST_SHOWN]
        return Spot(node, f"{self.path}.{shown}" if self.path else shown)


@dataclass(slots=True)
class NodeReader:
    """Typed access to nodes of one file; each method returns None after noting a problem."""

    source: str
    problems: list[tuple[int, str]] = field(default_factory=list)

    def refuse(self, spot: Spot, *, reason: str) -> None:
        """Note that what stands at `spot` is wrong."""
        self.problems.append((spot.line, f"{self.source}:{spot.line}: {spot.path}: {reason}"))

    def messages(self) -> tuple[str, ...]:
        """All problems in the order of their lines."""
        return tuple(message for _, message in sorted(self.problems, key=lambda item: item[0]))

    def is_mapping(self, spot: Spot) -> bool:
        """Whether a mapping stands there, whatever is in it."""
        return isinstance(spot.node, yaml.MappingNode)

    def is_list(self, spot: Spot) -> bool:
        """Whether a list stands there, whatever is in it."""
        return isinstance(spot.node, yaml.SequenceNode)

    def names(self, spot: Spot) -> tuple[str, ...]:
        """The keys of what may be a mapping; nothing of it is looked at."""
        pairs = spot.node.value if self.is_mapping(spot) else ()
        return tuple(str(key.value) for key, _ in pairs if isinstance(key, yaml.ScalarNode))

    def peek(self, spot: Spot, name: str) -> Spot | None:
        """One field of what may be a mapping; nothing is said of it, nor of the others."""
        pairs = spot.node.value if self.is_mapping(spot) else ()
        for key, value in pairs:
            if isinstance(key, yaml.ScalarNode) and key.value == name:
                return spot.below(name, node=value)
        return None

    def one_or_more(self, spot: Spot) -> list[Spot]:
        """The items of what may be a list; what is none is the only one."""
        if not self.is_list(spot):
            return [spot]
        return [spot.below(index, node=node) for index, node in enumerate(spot.node.value)]

    def mapping(self, spot: Spot) -> dict[str, Spot] | None:
        """The entries of a mapping with text keys; a key given twice is a problem."""
        if not isinstance(spot.node, yaml.MappingNode):
            self.refuse(spot, reason=f"must be a mapping, not {_shown(spot.node)}")
            return None
        entries: dict[str, Spot] = {}
        for key, value in spot.node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.refuse(Spot(key, spot.path), reason="keys must be plain names")
                continue
            name = str(key.value)
            if _NO_TEXT.search(name):
                self.refuse(Spot(key, spot.path), reason=f"not a name: {name[:40]!r}")
                continue
            if name in entries:
                self.refuse(spot.below(name, node=key), reason="is given twice")
                continue
            entries[name] = spot.below(name, node=value)
        return entries

    def fields(self, spot: Spot, *, allowed: tuple[str, ...]) -> dict[str, Spot] | None:
        """The entries of a mapping whose keys are known; others are problems and left out."""
        entries = self.mapping(spot)
        if entries is None:
            return None
        for name in [name for name in entries if name not in allowed]:
            known = ", ".join(allowed)
            self.refuse(entries.pop(name), reason=f"is not a known field; known are: {known}")
        return entries

    def some(self, spot: Spot, *, allowed: tuple[str, ...]) -> dict[str, Spot]:
        """The same of a mapping that says something; nothing after a problem."""
        entries = self.fields(spot, allowed=allowed)
        if entries is not None and not spot.node.value:
            self.refuse(spot, reason=f"must say something: {', '.join(allowed)}")
        return entries or {}

    def items(self, spot: Spot) -> list[Spot] | None:
        """The items of a list, which must not be empty."""
        if not isinstance(spot.node, yaml.SequenceNode):
            self.refuse(spot, reason=f"must be a list, not {_shown(spot.node)}")
            return None
        if not spot.node.value:
            self.refuse(spot, reason="must not be empty")
            return None
        return [spot.below(index, node=node) for index, node in enumerate(spot.node.value)]

    def text(self, spot: Spot) -> str | None:
        """A scalar as it is written; `~` and nothing at all are problems."""
        if not isinstance(spot.node, yaml.ScalarNode):
            self.refuse(spot, reason=f"must be text, not {_shown(spot.node)}")
            return None
        if spot.node.tag == "tag:yaml.org,2002:null":
            self.refuse(spot, reason='must be text, but is empty (write "" for empty text)')
            return None
        if wrong := _NO_TEXT.search(spot.node.value):
            what = "a NUL character" if wrong[0] == "\0" else "half of a surrogate pair"
            self.refuse(spot, reason=f"must not contain {what}")
            return None
        return str(spot.node.value)

    def whole(self, spot: Spot, *, least: int, most: int) -> int | None:
        """A decimal number without sign tricks, bases or separators, within bounds."""
        node = spot.node
        plain = isinstance(node, yaml.ScalarNode) and not node.style
        if plain and _WHOLE.match(node.value) and least <= int(node.value) <= most:
            return int(node.value)
        wanted = f"a whole number >= {least} and <= {most}"
        self.refuse(spot, reason=f"must be {wanted}, not {_shown(node)}")
        return None

    def boolean(self, spot: Spot) -> bool | None:
        """`true` or `false` in one of YAML's spellings."""
        node = spot.node
        if isinstance(node, yaml.ScalarNode) and not node.style:
            value = _BOOLEANS.get(node.value.lower())
            if value is not None:
                return value
        self.refuse(spot, reason=f"must be true or false, not {_shown(node)}")
        return None

    def one_of(self, spot: Spot, *, words: tuple[str, ...]) -> str | None:
        """One of these words; anything else is a problem."""
        node = spot.node
        if isinstance(node, yaml.ScalarNode) and node.value in words:
            return str(node.value)
        self.refuse(spot, reason=f"must be one of {', '.join(words)}, not {_shown(node)}")
        return None

    def only(self, spot: Spot, *, word: str) -> bool:
        """Whether `word` stands there; anything else is a problem."""
        node = spot.node
        if isinstance(node, yaml.ScalarNode) and node.value == word:
            return True
        self.refuse(spot, reason=f"must be {word} or left out, not {_shown(node)}")
        return False


def _shown(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
    if node.value == "" and not node.style:
        return "empty"
    shown = node.value if len(node.value) <= 40 else f"{node.value[:37]}..."
    return repr(shown)
