"""What a connection to public-api may cost: how many there are, and how long each may do nothing.

Whoever connects is served, however many others are silent: the connection that has waited longest makes room,
one without a request before one with.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

CONNECTIONS_MAX: Final = 200
HEAD_S: Final = 10.0
"""For a whole request, from the connection or from its first byte."""
ANSWER_S: Final = 60.0
"""For the answer, until the client has taken it."""
ENDLESS: Final = "endless"
"""Set in the state of a request whose answer goes on: its client has that long for what waits for it."""
IDLE_S: Final = 30
"""Between two requests; uvicorn's own clock."""


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1 with an end to every wait. Connections of one server know each other by its state."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._asking = False
        self.waiting_since = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        # uvicorn says that there is always one; before the first request there is none.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._make_room()
        super().connection_made(transport)
        self._asking = True
        self._end_in(HEAD_S)

    def data_received(self, data: bytes) -> None:
        if not self._asking:
            self._asking = True
            self._end_in(HEAD_S)
        was_busy = self.busy
        super().data_received(data)
        if self.busy and not was_busy:
            self._end_in(ANSWER_S)

    def on_response_complete(self) -> None:
        # What is written may wait for the client still; uvicorn's clock for the next request would wait with
        # it.
        self._end_in(ANSWER_S)
        super().on_response_complete()
        # The next request, or its beginning, may have been there already.
        self._asking = self.busy or bool(self.conn.trailing_data[0])
        if self._asking:
            self._end_in(ANSWER_S if self.busy else HEAD_S)

    def handle_websocket_upgrade(self, event: Any) -> None:
        # From here on another protocol has the connection, with clocks of its own.
        self._stop_clock()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def end(self) -> None:
        """At once, whatever is under way."""
        self.transport.abort()
        # Its loss is told later; until then it must not be chosen again.
        self.connections.discard(self)

    def _make_room(self) -> None:
        others = [one for one in self.connections if isinstance(one, BoundedProtocol)]
        if len(others) >= CONNECTIONS_MAX:
            min(others, key=lambda one: (one.busy, one.waiting_since)).end()

    def _end_in(self, seconds: float) -> None:
        self._stop_clock()
        self._deadline = self.loop.call_later(seconds, self._on_deadline)

    def _on_deadline(self) -> None:
        goes_on = self.busy and ENDLESS in self.scope["state"]
        if goes_on and not self.transport.get_write_buffer_size():
            self._end_in(ANSWER_S)
        else:
            self.end()

    def _stop_clock(self) -> None:
        self.waiting_since = time.monotonic()
        if self._deadline is not None:
            self._deadline.cancel()
