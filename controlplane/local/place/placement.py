"""Where and as whom a program runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

LAUNCH: Final = str(Path(__file__).with_name("launch.py"))
"""The program that becomes another one in its place."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and as whom a program runs, if not as its parent does: in a named network namespace, with the
    files of the folder `etc` in place of those of /etc, as another user. That user has no capability;
    with `reach`, which is for programs of ours alone, it can read that folder, the interpreter and this
    package.
    """

    netns: str = ""
    etc: Path | None = None
    uid: int | None = None
    reach: Path | None = None

    @property
    def words(self) -> list[str]:
        """For `launch`."""
        return [
            *(("--netns", self.netns) if self.netns else ()),
            *(("--etc", str(self.etc)) if self.etc else ()),
            *(("--uid", str(self.uid)) if self.uid is not None else ()),
            *(("--reach", str(self.reach)) if self.reach else ()),
        ]


AS_WE_DO: Final = Placement()
"""As the supervisor runs."""
