"""What Linkerd's controllers answered, to be compared with what ours do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Recorded:
    """A question, the messages that came, and how it ended: an empty `code` where the stream stayed open."""

    name: str
    case: dict[str, Any]
    wire: tuple[bytes, ...]
    code: str
    message: str

    @classmethod
    def read(cls, path: Path) -> Recorded:
        found = json.loads(path.read_text())
        code = found["grpc_code"]
        return cls(
            path.stem,
            found["case"],
            tuple(bytes.fromhex(one) for one in found["wire_hex"] or ()),
            "" if code.startswith("(") else code,
            found.get("grpc_message") or "",
        )

    def messages(self, kind: type[M]) -> list[M]:
        """As messages, which are equal whatever the order of their maps."""
        return [kind.FromString(one) for one in self.wire]


def camel_case(code: str) -> str:
    """`NOT_FOUND` as Linkerd's Go programs write it."""
    return "OK" if code == "OK" else code.title().replace("_", "")
