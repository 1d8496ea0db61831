"""What a hunt found, as text for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkerd2_py.base.logs import printable
from linkerd2_py.cli.render.paint import PLAIN, Paint

_ROUTES: Final = "; its other routes are well"
_OTHERS: Final = ("kubectl",)
"""Programs that a command may begin with; all others are words for ours."""

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HuntStyle:
    """How findings are shown: `program` is what a person types to call us, `namespace` the one that
    commands ask about without being told.
    """

    program: str
    namespace: str = ""
    paint: Paint = PLAIN


def finding_lines(findings: Sequence[Found], *, style: HuntStyle) -> list[str]:
    """A sentence for each with its rank, and below it what shows it."""
    lines = []
    width = len(str(len(findings)))
    for rank, one in enumerate(findings, start=1):
        head = f"{rank:>{width}}  "
        sentence = one["sentence"]
        if len(findings) == 1:
            sentence = f"{sentence.removesuffix(_ROUTES)}; everything else is well"
        lines.append(f"{style.paint.bold(head)}{printable(sentence)}")
        commands = (command(words, of=one["namespace"], style=style) for words in one["commands"])
        lines += [f"{' ' * len(head)}$ {printable(each)}" for each in commands]
    return lines


def command(words: str, *, of: str, style: HuntStyle) -> str:
    """As it can be typed; what is in another namespace than is asked about says so."""
    own, pipe, rest = words.partition(" | ")
    where = f" -n {of}" if of and of != style.namespace else ""
    program = "" if own.startswith(_OTHERS) else f"{style.program} "
    return f"{program}{own}{where}{pipe}{rest}"


def as_json(answer: Found, *, style: HuntStyle) -> dict[str, Any]:
    """Everything that the control plane said, its commands as they can be typed."""
    findings = [
        {
            "rank": rank,
            **one,
            "commands": [
                command(each, of=one["namespace"], style=style) for each in one["commands"]
            ],
        }
        for rank, one in enumerate(answer["findings"], start=1)
    ]
    return {**answer, "findings": findings}
