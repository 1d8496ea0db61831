"""Events of live traffic, joined to requests and summed up by what they have in common."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from linkerd2_py.base.logs import printable
from linkerd2_py.cli.render.tap import seconds_of

Event = Mapping[str, Any]

DEFAULT_ROUTE: Final = "[DEFAULT]"
BEGUN_MAX: Final = 10_000
"""Requests whose end is waited for; the oldest make room."""
ROWS_MAX: Final = 2_000
"""Of what nobody can read any more, what was quiet longest makes room."""
_FAILURES: Final = frozenset({2, 4, 13, 14, 15})
"""Statuses of gRPC that are the server's fault: Unknown, DeadlineExceeded, Internal, Unavailable and
DataLoss.
"""


@dataclass(slots=True)
class Row:
    """Requests that have everything in common that is shown; times in seconds."""

    source: str
    destination: str
    method: str
    path: str
    route: str
    count: int = 0
    best_s: float = 0.0
    worst_s: float = 0.0
    last_s: float = 0.0
    successes: int = 0

    def add(self, took_s: float, *, success: bool) -> None:
        """One more."""
        self.best_s = took_s if not self.count else min(self.best_s, took_s)
        self.worst_s = max(self.worst_s, took_s)
        self.last_s = took_s
        self.count += 1
        self.successes += success

    @property
    def success_rate(self) -> float:
        """Of all, as a share."""
        return self.successes / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True)
class Column:
    """One of the table: its head, what is in it, and by what it is sorted."""

    head: str
    text: Callable[[Row], str]
    key: Callable[[Row], Any]
    right: bool = False


SOURCE: Final = Column("Source", lambda row: row.source, lambda row: row.source)
DESTINATION: Final = Column("Destination", lambda row: row.destination, lambda row: row.destination)
METHOD: Final = Column("Method", lambda row: row.method, lambda row: row.method)
PATH: Final = Column("Path", lambda row: row.path, lambda row: row.path)
ROUTE: Final = Column("Route", lambda row: row.route, lambda row: row.route)
COUNT: Final = Column("Count", lambda row: str(row.count), lambda row: row.count, right=True)
BEST: Final = Column("Best", lambda row: short(row.best_s), lambda row: row.best_s, right=True)
WORST: Final = Column("Worst", lambda row: short(row.worst_s), lambda row: row.worst_s, right=True)
LAST: Final = Column("Last", lambda row: short(row.last_s), lambda row: row.last_s, right=True)
SUCCESS: Final = Column(
    "Success Rate",
    lambda row: f"{row.success_rate:.2%}",
    lambda row: row.success_rate,
    right=True,
)
_NUMBERS: Final = (COUNT, BEST, WORST, LAST, SUCCESS)


def columns(*, hide_sources: bool, routes: bool) -> tuple[Column, ...]:
    """Those that are shown."""
    ends = (DESTINATION,) if hide_sources else (SOURCE, DESTINATION)
    what = (ROUTE,) if routes else (METHOD, PATH)
    return (*ends, *what, *_NUMBERS)


class Rows:
    """What was seen since the beginning."""

    def __init__(self, *, hide_sources: bool = False, routes: bool = False) -> None:
        self.columns = columns(hide_sources=hide_sources, routes=routes)
        self._keys = tuple(one for one in self.columns if one not in _NUMBERS)
        self._begun: OrderedDict[str, list[Event]] = OrderedDict()
        self._rows: OrderedDict[tuple[str, ...], Row] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def hear(self, event: Event) -> None:
        """One more event. KeyError, TypeError or AttributeError for what is none."""
        name = str(event["exchange"])
        if "requestInitEvent" in event:
            self._begun[name] = [event]
            if len(self._begun) > BEGUN_MAX:
                self._begun.popitem(last=False)
        elif name in self._begun:
            self._begun[name].append(event)
            if "responseEndEvent" in event:
                self._count(self._begun.pop(name))

    def sorted(self, by: Column, *, descending: bool, having: str = "") -> list[Row]:
        """Those with a text somewhere in them."""
        wanted = having.lower()
        found = [row for row in self._rows.values() if wanted in self._text(row)]
        return sorted(found, key=by.key, reverse=descending)

    def forget(self) -> None:
        """Begin anew."""
        self._rows.clear()

    def _text(self, row: Row) -> str:
        return " ".join(one.text(row) for one in self._keys).lower()

    def _count(self, events: Iterable[Event]) -> None:
        request, *answers = events
        row = _row_of(request)
        key = tuple(one.text(row) for one in self._keys)
        known = self._rows.setdefault(key, row)
        self._rows.move_to_end(key)
        end = answers[-1]["responseEndEvent"]
        known.add(seconds_of(end["sinceRequestInit"]), success=succeeded(answers))
        if len(self._rows) > ROWS_MAX:
            self._rows.popitem(last=False)


def succeeded(answers: Iterable[Event]) -> bool:
    """As Linkerd judges it: by the status, and by how the response ended."""
    for event in answers:
        if (response := event.get("responseInitEvent")) and int(response["httpStatus"]) >= 500:
            return False
        if end := event.get("responseEndEvent"):
            if end["ended"] == "reset":
                return False
            if end["ended"] == "grpc" and int(end["grpcStatusCode"]) in _FAILURES:
                return False
    return True


def short(seconds: float) -> str:
    """As Go writes it, rounded: `731µs`, `12ms`, `3s`, `1m5s`."""
    if round(seconds * 1e6) < 1000:
        return f"{round(seconds * 1e6)}µs"
    if round(seconds * 1e3) < 1000:
        return f"{round(seconds * 1e3)}ms"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes}m{left}s" if minutes else f"{left}s"


def _row_of(event: Event) -> Row:
    request = event["requestInitEvent"]
    route = (event.get("routeMeta") or {}).get("route") or DEFAULT_ROUTE
    # Whoever sends a request writes its path, and whoever names a pod its name.
    return Row(
        _name(event["source"]),
        _name(event["destination"]),
        printable(str(request["method"])),
        printable(str(request["path"])),
        printable(str(route)),
    )


def _name(peer: Mapping[str, Any]) -> str:
    return printable(str(peer["metadata"].get("pod") or peer["ip"]))
