"""A ServiceProfile, as it is applied to a cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from linkerd2_py.cli.errors import CliError

Route = dict[str, Any]
_MOST_BYTES: Final = 16 * 1024 * 1024
# What Go's regular expressions give a meaning to; a slash or a dash is itself.
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
_PARAMETER: Final = re.compile(r"\\{[^}]*\\}")


@dataclass(frozen=True, slots=True)
class Service:
    """Whose profile it is."""

    name: str
    namespace: str
    domain: str = "cluster.local"

    @property
    def full_name(self) -> str:
        return f"{self.name}.{self.namespace}.svc.{self.domain}"


def profile_of(service: Service, routes: Sequence[Route]) -> dict[str, Any]:
    """The object."""
    return {
        "apiVersion": "linkerd.io/v1alpha2",
        "kind": "ServiceProfile",
        "metadata": {"name": service.full_name, "namespace": service.namespace},
        "spec": {"routes": list(routes)} if routes else {},
    }


def template_of(service: Service) -> str:
    """A profile to be filled in, with words about each field."""
    from linkerd2_py.cli.quick import read_text

    text = read_text("profile.yml")
    replaced = {"SERVICE.NAMESPACE.svc.DOMAIN": service.full_name, "NAMESPACE": service.namespace}
    for mark, value in replaced.items():
        text = text.replace(f"<{mark}>", value)
    return text


def literal(text: str) -> str:
    """A regular expression for this text alone."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def path_regex(path: str) -> str:
    """One for a path whose parameters are in braces."""
    return _PARAMETER.sub("[^/]*", literal(path))


def read_input(source: str) -> str:
    """The text of a file, or of standard input for `-`. CliError naming what cannot be read."""
    import sys

    try:
        if source == "-":
            raw = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise CliError(f"{source}: cannot be read: {error.strerror}") from error
    if len(raw) > _MOST_BYTES:
        raise CliError(f"{source}: is larger than {_MOST_BYTES} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CliError(f"{source}: is not text in UTF-8") from error
