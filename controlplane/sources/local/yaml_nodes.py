"""Reading YAML nodes by type, remembering where each came from.

Works on composed nodes, not on constructed values: only nodes know their line. Nothing is raised here;
problems are collected, so that one run reports all of them.
"""

import re
from dataclasses import dataclass, field

import yaml

# Bounded: a thousand digits are no number of anything here.
_WHOLE = re.compile(r"-?[0-9]{1,9}\Z")
# What an escape can write and no program can be given.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Place:
    """A node with the field it stands for, e.g. `workloads.web.replicas`."""

    node: yaml.Node
    path: str

    @property
    def line(self) -> int:
        """Counted from 1, as editors do."""
        return int(self.node.start_mark.line) + 1

    def below(self, name: str | int, *, node: yaml.Node) -> "Place":
        """A place inside this one."""
        if isinstance(name, int):
            return Place(node, f"{self.path}[{name}]")
        return Place(node, f"{self.path}.{name}" if self.path else name)


@dataclass(slots=True)
class NodeReader:
    """Typed access to nodes of one file; each method returns None after noting a problem."""

    source: str
    problems: list[tuple[int, str]] = field(default_factory=list)

    def refuse(self, place: Place, *, reason: str) -> None:
        """Note that what stands at `place` is wrong."""
        self.problems.append((place.line, f"{self.source}:{place.line}: {place.path}: {reason}"))

    def messages(self) -> tuple[str, ...]:
        """All problems in the order of their lines."""
        return tuple(message for _, message in sorted(self.problems, key=lambda item: item[0]))

    def mapping(self, place: Place) -> dict[str, Place] | None:
        """The entries of a mapping with text keys; a key given twice is a problem."""
        if not isinstance(place.node, yaml.MappingNode):
            self.refuse(place, reason=f"must be a mapping, not {_shown(place.node)}")
            return None
        entries: dict[str, Place] = {}
        for key, value in place.node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.refuse(Place(key, place.path), reason="keys must be plain names")
                continue
            name = str(key.value)
            if _NO_TEXT.search(name):
                self.refuse(Place(key, place.path), reason=f"not a name: {name[:40]!r}")
                continue
            if name in entries:
                self.refuse(place.below(name, node=key), reason="is given twice")
                continue
            entries[name] = place.below(name, node=value)
        return entries

    def fields(self, place: Place, *, allowed: tuple[str, ...]) -> dict[str, Place] | None:
        """The entries of a mapping whose keys are known; others are problems and left out."""
        entries = self.mapping(place)
        if entries is None:
            return None
        for name in [name for name in entries if name not in allowed]:
            known = ", ".join(allowed)
            self.refuse(entries.pop(name), reason=f"is not a known field; known are: {known}")
        return entries

    def items(self, place: Place) -> list[Place] | None:
        """The items of a list, which must not be empty."""
        if not isinstance(place.node, yaml.SequenceNode):
            self.refuse(place, reason=f"must be a list, not {_shown(place.node)}")
            return None
        if not place.node.value:
            self.refuse(place, reason="must not be empty")
            return None
        return [place.below(index, node=node) for index, node in enumerate(place.node.value)]

    def text(self, place: Place) -> str | None:
        """A scalar as it is written; `~` and nothing at all are problems."""
        if not isinstance(place.node, yaml.ScalarNode):
            self.refuse(place, reason=f"must be text, not {_shown(place.node)}")
            return None
        if place.node.tag == "tag:yaml.org,2002:null":
            self.refuse(place, reason='must be text, but is empty (write "" for empty text)')
            return None
        if wrong := _NO_TEXT.search(place.node.value):
            what = "a NUL character" if wrong[0] == "\0" else "half of a surrogate pair"
            self.refuse(place, reason=f"must not contain {what}")
            return None
        return str(place.node.value)

    def whole(self, place: Place, *, least: int, most: int) -> int | None:
        """A decimal number without sign tricks, bases or separators, within bounds."""
        node = place.node
        plain = isinstance(node, yaml.ScalarNode) and not node.style
        if plain and _WHOLE.match(node.value) and least <= int(node.value) <= most:
            return int(node.value)
        wanted = f"a whole number >= {least} and <= {most}"
        self.refuse(place, reason=f"must be {wanted}, not {_shown(node)}")
        return None

    def boolean(self, place: Place) -> bool | None:
        """`true` or `false` in one of YAML's spellings."""
        node = place.node
        if isinstance(node, yaml.ScalarNode) and not node.style:
            value = _BOOLEANS.get(node.value.lower())
            if value is not None:
                return value
        self.refuse(place, reason=f"must be true or false, not {_shown(node)}")
        return None

    def one_of(self, place: Place, *, words: tuple[str, ...]) -> str | None:
        """One of these words; anything else is a problem."""
        node = place.node
        if isinstance(node, yaml.ScalarNode) and node.value in words:
            return str(node.value)
        self.refuse(place, reason=f"must be one of {', '.join(words)}, not {_shown(node)}")
        return None

    def only(self, place: Place, *, word: str) -> bool:
        """Whether `word` stands there; anything else is a problem."""
        node = place.node
        if isinstance(node, yaml.ScalarNode) and node.value == word:
            return True
        self.refuse(place, reason=f"must be {word} or left out, not {_shown(node)}")
        return False


def _shown(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
    if node.value == "" and not node.style:
        return "empty"
    shown = node.value if len(node.value) <= 40 else f"{node.value[:37]}..."
    return repr(shown)
