"""What container runtimes ask of a CNI plugin, and what they hear (CNI specification 1.1 and before)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from linkerd2_py.controlplane.kubernetes_api import Json

VERSIONS: Final = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
COMMANDS: Final = ("ADD", "CHECK", "STATUS")
"""What the launcher passes on; the others need nobody."""
_OLDEST: Final = "0.1.0"
_ENCODING: Final = "utf-8"
# As API servers take names; what is no name is not asked for by one.
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class Code(IntEnum):
    """Of the specification, and from 100 on ours."""

    INCOMPATIBLE_VERSION = 1
    BAD_VARIABLES = 4
    UNREADABLE = 6
    BAD_CONFIGURATION = 7
    TRY_AGAIN = 11
    NOT_AVAILABLE = 50
    REFUSED = 100
    NO_RULES = 101


class CniError(Exception):
    """The question fails; the kubelet shows the text, of one line, in an event of the pod."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class PodName:
    """Which pod it is about. `uid` is empty where the runtime does not tell."""

    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Question:
    """One call of a plugin. `pod` is None where it is not Kubernetes that asks."""

    command: str
    container: str
    pod: PodName | None
    version: str
    configuration: Json


def read_question(variables: Mapping[str, str], configuration: bytes) -> Question:
    """Raises `CniError` where it makes no sense."""
    command = variables.get("CNI_COMMAND", "")
    if command not in COMMANDS:
        raise CniError(Code.BAD_VARIABLES, f"CNI_COMMAND is {command[:40]!r}")
    found = _object(configuration)
    version = found.get("cniVersion", _OLDEST)
    if version not in VERSIONS:
        told = f"cniVersion is {str(version)[:40]!r}: {_OLDEST} to {VERSIONS[-1]} are known"
        raise CniError(Code.INCOMPATIBLE_VERSION, told)
    return Question(
        command=command,
        container=variables.get("CNI_CONTAINERID", ""),
        pod=_pod(variables.get("CNI_ARGS", "")),
        version=version,
        configuration=found,
    )


def result_of(question: Question) -> bytes:
    """That of the plugins before us, untouched: we add neither interfaces nor addresses."""
    before = question.configuration.get("prevResult")
    result = before if isinstance(before, dict) else {}
    return _line({**result, "cniVersion": question.version})


def error_of(error: CniError, *, version: str = "1.0.0") -> bytes:
    """As the specification has it."""
    text = " ".join(str(error).split())
    return _line({"cniVersion": version, "code": int(error.code), "msg": f"linkerd-cni: {text}"})


def _object(configuration: bytes) -> Json:
    try:
        found: Any = json.loads(configuration)
    except (ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise CniError(Code.UNREADABLE, f"the configuration is not JSON: {reason}") from error
    if not isinstance(found, dict):
        raise CniError(Code.UNREADABLE, "the configuration is not an object")
    return found


def _pod(arguments: str) -> PodName | None:
    """Of CNI_ARGS, `NAME=VALUE;NAME=VALUE`."""
    pairs = [one.partition("=") for one in arguments.split(";")]
    said = {name: value for name, _, value in pairs}
    namespace, name = said.get("K8S_POD_NAMESPACE", ""), said.get("K8S_POD_NAME", "")
    if not namespace or not name:
        return None
    for one in (namespace, name):
        if not _NAME.fullmatch(one):
            raise CniError(Code.BAD_VARIABLES, f"CNI_ARGS: {one[:80]!r} is not a name")
    return PodName(namespace, name, said.get("K8S_POD_UID", ""))


def _line(found: Json) -> bytes:
    return f"{json.dumps(found)}\n".encode(_ENCODING)
