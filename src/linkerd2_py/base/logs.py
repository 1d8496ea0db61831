"""Log set-up for every process: plain or JSON lines, levels by filter, and a sink that never
blocks the loop.

A filter is Linkerd's: `LEVEL` or `target=LEVEL`, comma-separated, e.g.
`warn,linkerd=info,linkerd.proxy=debug`; the target `linkerd` is this whole package. The sink asks
the descriptor whether it takes a line without waiting; a line it does not take is dropped,
counted, and the count is written with the next line that fits.
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Format = Literal["plain", "json"]

PACKAGE: Final = "linkerd2_py"
DEFAULT_FILTER: Final = "warn,linkerd=info"
TRACE: Final = 5
LINE_LIMIT_BYTES: Final = 4096
"""PIPE_BUF: a pipe that polls writable takes this many bytes at once without waiting."""

_LEVELS: Final[Mapping[str, int]] = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 10,
}
_NAMES: Final[Mapping[int, str]] = {
    TRACE: "TRACE",
    logging.WARNING: "WARN",
    logging.CRITICAL: "ERROR",
}


class FilterError(ValueError):
    """A log filter that cannot be understood; the text names the part."""


class Filter(NamedTuple):
    """Levels by target: `root` for everything else, `targets` by logger name."""

    root: int
    targets: Mapping[str, int]


def parse_filter(text: str) -> Filter:
    """Read `warn,linkerd=info`; FilterError for an unknown level or an empty target."""
    root, targets = logging.WARNING, {}
    for part in (part.strip() for part in text.split(",")):
        target, equals, level = part.rpartition("=")
        if not equals:
            root = _level(level, part=part)
        elif not target.strip():
            raise FilterError(f"{part!r}: a target is missing before '='")
        else:
            targets[_logger_name(target.strip())] = _level(level, part=part)
    return Filter(root=root, targets=targets)


def configure(*, filter_text: str = DEFAULT_FILTER, style: Format = "plain", fd: int = 2) -> None:
    """Send all logging of this process to `fd`. FilterError leaves the old set-up in force."""
    levels = parse_filter(filter_text)
    sink = LineSink(fd=fd)
    sink.setFormatter(JsonFormatter() if style == "json" else PlainFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(sink)
    _apply(levels)


def set_filter(text: str) -> None:
    """Change levels at run time; FilterError leaves the old levels in force."""
    _apply(parse_filter(text))


class LineSink(logging.Handler):
    """Writes one line at a time to a descriptor, only when it will not wait. `dropped` counts
    since the last line.
    """

    def __init__(self, *, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        if self.dropped and self._try_write(f"({self.dropped} log lines dropped: reader too slow)"):
            self.dropped = 0
        if self.dropped or not self._try_write(self.format(record)):
            self.dropped += 1

    def _try_write(self, line: str) -> bool:
        if not any(event & select.POLLOUT for _, event in self._poll.poll(0)):
            return False
        raw = line.encode("utf-8", "backslashreplace")
        try:
            os.write(self._fd, raw[: LINE_LIMIT_BYTES - 1] + b"\n")
        except OSError:
            return False
        return True


class PlainFormatter(logging.Formatter):
    """`[   seconds since start] LEVEL target: message`."""

    def __init__(self) -> None:
        super().__init__()
        self._start = time.clock_gettime(time.CLOCK_REALTIME)

    def format(self, record: logging.LogRecord) -> str:
        text = _message(self, record)
        level = _NAMES.get(record.levelno, record.levelname)
        return f"[{record.created - self._start:12.6f}s] {level:>5} {record.name}: {text}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: timestamp (RFC 3339, UTC), level, target, fields.message."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "timestamp": f"{seconds}.{int(record.msecs):03d}Z",
            "level": _NAMES.get(record.levelno, record.levelname),
            "fields": {"message": _message(self, record)},
            "target": record.name,
        }
        import json  # noqa: PLC0415  # 0.1 MiB that few proxies need

        return json.dumps(line, ensure_ascii=False)


def _message(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The message with its traceback; control characters escaped, so one record stays one line."""
    text = record.getMessage()
    if record.exc_info:
        text = f"{text}\n{formatter.formatException(record.exc_info)}"
    return printable(text)


def printable(text: str) -> str:
    """`text` with its control characters escaped: one line, which does nothing to a terminal, whoever wrote
    it.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _level(text: str, *, part: str) -> int:
    level = _LEVELS.get(text.strip().lower())
    if level is None:
        raise FilterError(f"{part!r}: level must be trace, debug, info, warn, error or off")
    return level


def _logger_name(target: str) -> str:
    name = target.replace("::", ".")
    if name == "linkerd" or name.startswith("linkerd."):
        return PACKAGE + name.removeprefix("linkerd")
    return name


_filtered: set[str] = set()


def _apply(levels: Filter) -> None:
    for name in _filtered - levels.targets.keys():
        logging.getLogger(name).setLevel(logging.NOTSET)
    _filtered.clear()
    _filtered.update(levels.targets)
    logging.getLogger().setLevel(levels.root)
    for name, level in levels.targets.items():
        logging.getLogger(name).setLevel(level)
