"""The addresses this proxy listens on: bound in one place, so that a taken port is one clear error, and
remembered, so that traffic cannot be sent round in circles.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py.base.clock import Clock
from linkerd2_py.proxy.addresses import SocketAddr, is_local, is_unspecified
from linkerd2_py.proxy.config.setting import Setting

EXHAUSTED: Final = "listener_exhausted_total"
_STRANGERS_EVERY_S: Final = 1.0
_LEAST_FAILURE: Final = 500
_EXHAUSTED_HELP: Final = (
    "Times that a listener paused because there were no descriptors or no memory to accept with."
)


class ListenError(Exception):
    """An address cannot be listened on; the text names the address and the variable."""


class Bind(Protocol):
    """Binds and listens; the engine's `listen` with its options already given."""

    def __call__(self, host: str, port: int) -> Address: ...


def listen(bind: Bind, address: SocketAddr, *, setting: Setting[Any]) -> SocketAddr:
    """Where it really listens. ListenError when the system refuses."""
    try:
        bound = bind(address.host, address.port)
    except OSError as error:
        raise ListenError(_refusal(address, error=error, setting=setting)) from error
    return SocketAddr(bound.host, bound.port)


def exhaustion_log(
    logger: logging.Logger, registry: Registry, *, direction: str
) -> Callable[[Listener], None]:
    """What a listener calls, now and then, while there is nothing left to accept with: counted, and said
    once.
    """
    counter = registry.counter(EXHAUSTED, _EXHAUSTED_HELP, [("direction", direction)])
    known: dict[Address, int] = {}

    def on_exhausted(listener: Listener) -> None:
        before = known.get(listener.address, 0)
        known[listener.address] = listener.exhausted
        counter.inc(listener.exhausted - before)
        if before == 0:
            logger.warning(
                "%s: no descriptors or memory left to accept with; connections are reset until there are"
                " (see ulimit -n and fs.epoll.max_user_watches; counted in %s)",
                listener.address,
                EXHAUSTED,
            )

    return on_exhausted


def stranger_log(logger: logging.Logger, *, clock: Clock) -> Callable[[Address | None], None]:
    """What a server calls for each connection that it resets because it came straight to the inbound port,
    and not from a proxy: a line once a second at most, with how many there were since the last one.
    """
    told, silent = -_STRANGERS_EVERY_S, 0

    def on_stranger(peer: Address | None) -> None:
        nonlocal told, silent
        now = clock.monotonic()
        if now - told < _STRANGERS_EVERY_S:
            silent += 1
            return
        more = f" ({silent} more since the last line)" if silent else ""
        told, silent = now, 0
        logger.warning(
            "%s was reset%s: it came straight to the proxy's own inbound port, where only proxies are"
            " understood; call a port of the workload instead",
            "a client" if peer is None else peer.host,
            more,
        )

    return on_stranger


def answer_log(
    logger: logging.Logger, *, direction: str
) -> Callable[[bytes | None, str | None, int, bytes, int], None]:
    """What a server calls, for each reason once a second at most, when it answers in the proxy's own name:
    what goes wrong in the mesh is a warning, what a client is refused is not.
    """

    def on_answer(
        target: bytes | None, endpoint: str | None, status: int, reason: bytes, more: int
    ) -> None:
        level = logging.WARNING if status >= _LEAST_FAILURE else logging.INFO
        logger.log(
            level,
            "%s: the proxy answers %d%s%s: %s%s",
            direction,
            status,
            "" if target is None else f" for {target.decode(errors='replace')}",
            "" if endpoint is None else f" at {endpoint}",
            reason.decode(errors="replace"),
            f" ({more} more since the last line)" if more else "",
        )

    return on_answer


class Listening:
    """All bound addresses, by what they are for."""

    def __init__(self) -> None:
        self.outbound: list[SocketAddr] = []
        self.inbound: list[SocketAddr] = []
        self.outbound_static: list[tuple[SocketAddr, str]] = []
        self.inbound_static: list[tuple[SocketAddr, str]] = []
        self.admin: SocketAddr | None = None
        self.tap: SocketAddr | None = None

    def outbound_addresses(self) -> list[SocketAddr]:
        """Where the workload's calls come in."""
        return [*self.outbound, *(address for address, _ in self.outbound_static)]

    @property
    def admin_ports(self) -> list[int]:
        """That of the admin server, where it listens."""
        return [] if self.admin is None else [self.admin.port]

    def leads_back(self, address: SocketAddr) -> bool:
        """Whether connecting there would come out at an outbound listener of ours."""
        return any(_reaches(address, own=own) for own in self.outbound_addresses())

    def is_ours(self, address: SocketAddr) -> bool:
        """Whether connecting there would come out at a listener of ours that sends it on to where it was
        addressed.
        """
        return self.leads_back(address) or any(_reaches(address, own=own) for own in self.inbound)

    def as_json(self) -> Mapping[str, Any]:
        """For `GET /listeners`."""
        return {
            "outbound": [str(address) for address in self.outbound],
            "inbound": [str(address) for address in self.inbound],
            "outbound_static": _static(self.outbound_static),
            "inbound_static": _static(self.inbound_static),
            "admin": str(self.admin),
            **({} if self.tap is None else {"tap": str(self.tap)}),
        }

    def __str__(self) -> str:
        """For the line in the log."""
        parts = [f"outbound={_joined(self.outbound)}", f"inbound={_joined(self.inbound)}"]
        parts += [f"outbound-static={address}={to}" for address, to in self.outbound_static]
        parts += [f"inbound-static={address}={to}" for address, to in self.inbound_static]
        parts += [] if self.tap is None else [f"tap={self.tap}"]
        return " ".join([*parts, f"admin={self.admin}"])


def _reaches(address: SocketAddr, *, own: SocketAddr) -> bool:
    if address.port != own.port:
        return False
    if address.host == own.host:
        return True
    # A listener on all addresses is reached at every one of this machine's.
    return is_unspecified(own.host) and is_local(address.host)


def _refusal(address: SocketAddr, *, error: OSError, setting: Setting[Any]) -> str:
    reason = os.strerror(error.errno) if error.errno else str(error)
    advice = "; stop what listens there, or choose another address or port"
    hint = advice if error.errno in {errno.EADDRINUSE, errno.EADDRNOTAVAIL} else ""
    return f"{setting.variable}: cannot listen on {address}: {reason}{hint}"


def _joined(addresses: list[SocketAddr]) -> str:
    return ",".join(str(address) for address in addresses)


def _static(entries: list[tuple[SocketAddr, str]]) -> list[dict[str, str]]:
    return [{"listen": str(address), "target": target} for address, target in entries]
