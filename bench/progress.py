"""What is being done right now, on stderr: one line that is rewritten on a terminal, else a line each."""

import time
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True)
class Progress:
    """Shows the time since the start before each line."""

    sink: TextIO
    _started_s: float = field(default_factory=time.monotonic)
    _shown: int = 0

    def show(self, text: str) -> None:
        """What happens now."""
        line = self._stamped(text)
        if self.sink.isatty():
            self.sink.write(f"\r{line.ljust(self._shown)}")
            self._shown = len(line)
        else:
            self.sink.write(f"{line}\n")
        self.sink.flush()

    def note(self, text: str) -> None:
        """Something that is to stay on the screen."""
        self.clear()
        self.sink.write(f"{self._stamped(text)}\n")
        self.sink.flush()

    def clear(self) -> None:
        """Leave an empty line behind."""
        if self._shown:
            self.sink.write(f"\r{' ' * self._shown}\r")
            self.sink.flush()
            self._shown = 0

    def _stamped(self, text: str) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._started_s), 60)
        return f"{minutes:3d}:{seconds:02d}  {text}"
