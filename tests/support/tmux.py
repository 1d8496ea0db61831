"""A real terminal: a program in tmux, which keeps the screen as a person sees it, and what was written."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.wait import eventually

COLUMNS, ROWS = 160, 30


@dataclass(frozen=True, slots=True)
class Tmux:
    """One pane of a server of its own. `written` holds every byte that the program wrote to it, `status` how
    it ended.
    """

    socket: Path
    written: Path
    status: Path

    def do(self, *words: str) -> str:
        argv = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def screen(self) -> str:
        return self.do("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        """By their names in tmux; what is no name is typed."""
        self.do("send-keys", *keys)

    def shows(self, *texts: str, without: str = "") -> None:
        """Waits until all of them can be seen, and `without` cannot."""

        def seen() -> bool:
            screen = self.screen()
            return all(text in screen for text in texts) and not (without and without in screen)

        try:
            eventually(seen, what=f"{texts} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.screen()}") from None

    def ended(self) -> int:
        """The program's exit status, once it has ended. tmux itself may miss the end of a child."""
        said = eventually(lambda: self.status.exists() and self.status.read_text(), what="the end")
        return int(said)

    def title(self) -> str:
        """Which programs may change by a sequence."""
        return self.do("display-message", "-p", "#{pane_title}").strip()


@contextlib.contextmanager
def terminal(
    folder: Path, command: Sequence[str], *, env: Mapping[str, str], cwd: Path
) -> Iterator[Tmux]:
    """The program in a terminal, which is there until the block ends, also behind the program's end."""
    made = Tmux(folder / "tmux", folder / "written", folder / "status")
    go = folder / "go"
    # Not before each byte of it is recorded; and the shell outlives the keys that end the program.
    script = (
        f"trap : INT; until [ -e {shlex.quote(str(go))} ]; do sleep 0.05; done; "
        f"{shlex.join(command)}; echo $? > {shlex.quote(str(made.status))}; exec sleep 3600"
    )
    words = [part for name, value in env.items() for part in ("-e", f"{name}={value}")]
    size = ("-x", str(COLUMNS), "-y", str(ROWS))
    made.do("new-session", "-d", *size, "-c", str(cwd), *words, script)
    try:
        made.do("pipe-pane", "-o", f"cat > {shlex.quote(str(made.written))}")
        go.touch()
        yield made
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            made.do("kill-server")
