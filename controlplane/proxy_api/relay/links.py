"""Connections to one address, as many as its streams need: a server holds a limited number on each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import grpc

STREAMS_PER_LINK: Final = 1_000
"""Half of what a proxy-api allows one connection."""
_OPTIONS: Final = (
    # Else all channels of one address share a connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.lb_policy_name", "round_robin"),
    # A server that vanished without a word is found out.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


@dataclass(slots=True)
class _Link:
    channel: grpc.aio.Channel
    used: int = 0


class Links:
    """Until closed."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._links: list[_Link] = []

    @property
    def count(self) -> int:
        """How many connections there are."""
        return len(self._links)

    @contextmanager
    def use(self) -> Iterator[grpc.aio.Channel]:
        """A channel for one stream or call."""
        link = next((one for one in self._links if one.used < STREAMS_PER_LINK), None)
        if link is None:
            link = _Link(grpc.aio.insecure_channel(self.address, options=_OPTIONS))
            self._links.append(link)
        link.used += 1
        try:
            yield link.channel
        finally:
            link.used -= 1

    async def close(self) -> None:
        """End all that goes over them."""
        links, self._links = self._links, []
        for one in links:
            await one.channel.close()
