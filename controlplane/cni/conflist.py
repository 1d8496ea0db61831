"""Lists of CNI plugins as runtimes read them, with our entry and without it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from linkerd2_py.controlplane.cni.fields import objects, text
from linkerd2_py.controlplane.kubernetes_api import Json

TYPE: Final = "linkerd-cni"
ENDINGS: Final = (".conf", ".conflist", ".json")
"""Of files that runtimes look at, the first of them by name."""
LARGEST: Final = 1 << 20
_NETWORK: Final = "k8s-pod-network"
_ENCODING: Final = "utf-8"


class ConflistError(Exception):
    """No runtime could use it; the text says in one line why."""


def read(data: bytes) -> Json:
    """A list of plugins; a single one is made a list of one. Raises `ConflistError`."""
    if len(data) > LARGEST:
        raise ConflistError(f"it has more than {LARGEST} bytes")
    try:
        found: Any = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ConflistError(f"it is not JSON: {str(error) or type(error).__name__}") from error
    if not isinstance(found, dict):
        raise ConflistError("it is not an object")
    if "plugins" not in found and text(found, "type"):
        return _list_of(found)
    plugins = found.get("plugins")
    if not isinstance(plugins, list) or not plugins:
        raise ConflistError("it has no plugins")
    if any(not text(one, "type") for one in plugins):
        raise ConflistError("one of its plugins has no type")
    return found


def is_list(data: bytes) -> bool:
    """Whether it was one already."""
    found = json.loads(data)
    return isinstance(found, dict) and "plugins" in found


def with_plugin(found: Json, plugin: Json) -> Json | None:
    """With exactly one entry of ours, which is `plugin`; None where it is so already. An entry that others
    have moved stays where it is, so that nobody fights for the last place. Raises `ConflistError` where
    there would be nobody before us.
    """
    plugins = objects(found, "plugins")
    ours = [at for at, one in enumerate(plugins) if text(one, "type") == TYPE]
    if len(ours) == len(plugins):
        raise ConflistError("nobody in it sets up a network")
    if ours and ours[0] > 0:
        first = ours[0]
        if len(ours) == 1 and plugins[first] == plugin:
            return None
        kept = [one for at, one in enumerate(plugins) if at not in ours[1:]]
        return {**found, "plugins": [*kept[:first], plugin, *kept[first + 1 :]]}
    return {**found, "plugins": [*_others(plugins), plugin]}


def without_plugin(found: Json) -> Json:
    """What others have in it."""
    return {**found, "plugins": _others(objects(found, "plugins"))}


def has_plugin(found: Json) -> bool:
    """Whether an entry of ours is in it."""
    return any(text(one, "type") == TYPE for one in objects(found, "plugins"))


def render(found: Json) -> bytes:
    """As a file."""
    return f"{json.dumps(found, indent=2, ensure_ascii=False)}\n".encode(_ENCODING)


def _others(plugins: Sequence[Json]) -> list[Json]:
    return [one for one in plugins if text(one, "type") != TYPE]


def _list_of(single: Json) -> Json:
    """The name and the version are the list's."""
    plugin = {key: value for key, value in single.items() if key != "cniVersion"}
    return {
        "cniVersion": text(single, "cniVersion") or "0.3.1",
        "name": text(single, "name") or _NETWORK,
        "plugins": [plugin],
    }


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
