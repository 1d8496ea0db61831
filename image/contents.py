"""What `contents.toml` says, checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from image.errors import ImageError

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, and what it is made of."""

    name: str
    debian: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    """Of the Debian packages: patterns of paths; empty: all."""
    drop: tuple[str, ...] = ()
    """Of the Debian packages and the wheels."""
    locked: str = ""
    """The list of wheels below `locked/`."""
    own: tuple[str, ...] = ()
    """Of our own wheel."""
    certificates: bool = False
    """The roots that Debian trusts, as one file."""
    folders: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    """Where a file of `programs/` goes; a `.c` is compiled."""
    capabilities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its layers from the lowest, and how it runs."""

    name: str
    title: str
    layers: tuple[str, ...]
    user: str
    entrypoint: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """All of them by name."""

    layers: Mapping[str, Layer]
    images: Mapping[str, Image]


def load(path: Path = FOLDER / "contents.toml") -> Contents:
    """ImageError for what is no such file."""
    told = tomllib.loads(path.read_text())
    layers = {
        name: Layer(name, **_known(Layer, name, value)) for name, value in told["layers"].items()
    }
    images = {
        name: Image(name, **_known(Image, name, value)) for name, value in told["images"].items()
    }
    for image in images.values():
        if unknown := set(image.layers) - layers.keys():
            raise ImageError(f"{image.name} has no such layer: {', '.join(sorted(unknown))}")
    return Contents(layers, images)


def _known(kind: type, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    if strange := value.keys() - {one.name for one in fields(kind)}:
        raise ImageError(f"{name} says what is not known: {', '.join(sorted(strange))}")
    return {key: tuple(said) if isinstance(said, list) else said for key, said in value.items()}
