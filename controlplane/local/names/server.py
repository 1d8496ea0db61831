"""The name server of a transparent mesh's pods, and the files that lead to it and from it.

It answers for the mesh itself and passes every other name on. Everything it holds is bounded:
connections, of all and of one client, how long they may be idle, how long a query is, how many wait for
other servers. Who connects is served: the oldest connection makes room.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, cast

import dns.rcode

from linkerd2_py.base.names import CLUSTER_SUFFIX, split_authority
from linkerd2_py.base.tasks import cancel_all, report_failure, spawn
from linkerd2_py.controlplane.local.names.forwarder import TIMEOUT_S, Address, Forwarder
from linkerd2_py.controlplane.local.names.messages import (
    QUERY_MAX,
    Query,
    QueryError,
    encode,
    failure,
    own_answer,
    read_query,
)
from linkerd2_py.controlplane.local.names.zone import DOMAIN, Zone

CONNECTIONS_MAX: Final = 100
PER_CLIENT_MAX: Final = 20
IDLE_S: Final = 10.0
_PORT: Final = 53
# What resolvers ask when the file names nobody: resolv.conf(5).
_THIS_MACHINE: Final = ("127.0.0.1",)

logger = logging.getLogger(__name__)


class DnsServer:
    """Answers from `zone`; other names are asked of `forward_to` (`address` or `address:port`).
    ValueError for other texts.
    """

    def __init__(
        self,
        zone: Zone,
        *,
        forward_to: Sequence[str],
        idle_s: float = IDLE_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._zone = zone
        self._idle_s = idle_s
        self._own: Address | None = None
        self._servers = [_address(text) for text in forward_to]
        self._forwarder = Forwarder(self._others, timeout_s=timeout_s)
        self._datagrams: _Datagrams | None = None
        self._listener: asyncio.Server | None = None
        # Oldest first.
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._forwarding: set[asyncio.Task[None]] = set()

    def forward_to(self, servers: Sequence[str]) -> None:
        """Ask these about other names from now on. ValueError as above, and nothing changes."""
        self._servers = [_address(text) for text in servers]

    def _others(self) -> Sequence[Address]:
        # Asking ourselves would never end.
        return [server for server in self._servers if server != self._own]

    async def start(self, udp: socket.socket, tcp: socket.socket) -> None:
        """Serve on two sockets that are bound to the same address; from now on they are ours to close."""
        self._own = udp.getsockname()[:2]
        _, self._datagrams = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(self._on_datagram), sock=udp
        )
        self._listener = await asyncio.start_server(
            self._on_connection, sock=tcp, limit=2 * QUERY_MAX
        )

    async def stop(self) -> None:
        """Answer nothing more and close every socket. May be repeated."""
        datagrams, listener = self._datagrams, self._listener
        self._datagrams = self._listener = None
        if listener is not None:
            listener.close()
        await cancel_all([*self._connections, *self._forwarding])
        if listener is not None:
            await listener.wait_closed()
        if datagrams is not None:
            await datagrams.close()

    def _on_datagram(self, raw: bytes, peer: Any) -> None:
        try:
            self._answer(raw, peer)
        except Exception as error:  # noqa: BLE001  # one query spoils its own answer only
            report_failure("dns query", error)

    def _answer(self, raw: bytes, peer: Any) -> None:
        query = self._read(raw, answer=lambda reply: self._send(reply, peer))
        if query is None:
            return
        answer = own_answer(query, zone=self._zone)
        if answer is not None:
            self._send(encode(answer, query=query, stream=False), peer)
        else:
            task = spawn(self._forward(query, peer), name="dns query")
            self._forwarding.add(task)
            task.add_done_callback(self._forwarding.discard)

    def _send(self, reply: bytes, peer: Any) -> None:
        if self._datagrams is not None:
            self._datagrams.send(reply, peer)

    async def _forward(self, query: Query, peer: Any) -> None:
        self._send(await self._from_others(query, stream=False), peer)

    async def _from_others(self, query: Query, *, stream: bool) -> bytes:
        found = await self._forwarder.ask(query, stream=stream)
        if found is not None:
            return found
        return encode(failure(query, rcode=dns.rcode.SERVFAIL), query=query, stream=stream)

    def _read(self, raw: bytes, *, answer: Callable[[bytes], None]) -> Query | None:
        try:
            return read_query(raw)
        except QueryError as error:
            logger.debug("a query of %d bytes: %s", len(raw), error)
            if error.reply:
                answer(error.reply)
            return None

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._make_room(_client_of(writer))
        task = spawn(self._serve(reader, writer), name="dns connection")
        self._connections[task] = writer
        task.add_done_callback(lambda ended: self._connections.pop(ended, None))

    def _make_room(self, client: str) -> None:
        own = [task for task, one in self._connections.items() if _client_of(one) == client]
        if len(own) >= PER_CLIENT_MAX:
            self._end(own[0])
        elif len(self._connections) >= CONNECTIONS_MAX:
            self._end(next(iter(self._connections)))

    def _end(self, task: asyncio.Task[None]) -> None:
        # A task that has not begun yet would not do it.
        self._connections.pop(task).transport.abort()
        task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # `drain` then means that the kernel has it all, and nothing is lost when we end.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, EOFError) as error:
            logger.debug("a connection ends: %r", error)
        finally:
            writer.transport.abort()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One query (RFC 1035 section 4.2.2); whether another may follow."""
        async with asyncio.timeout(self._idle_s):
            size = int.from_bytes(await reader.readexactly(2))
            if size > QUERY_MAX:
                return False
            raw = await reader.readexactly(size)
        replies: list[bytes] = []
        query = self._read(raw, answer=replies.append)
        if query is not None:
            answer = own_answer(query, zone=self._zone)
            replies.append(
                await self._from_others(query, stream=True)
                if answer is None
                else encode(answer, query=query, stream=True)
            )
        writer.write(b"".join(len(reply).to_bytes(2) + reply for reply in replies))
        async with asyncio.timeout(self._idle_s):
            await writer.drain()
        # What follows bytes that are no query is none either.
        return query is not None


def _client_of(writer: asyncio.StreamWriter) -> str:
    name = writer.get_extra_info("peername")
    return str(name[0]) if name else ""


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP socket."""

    def __init__(self, on_datagram: Callable[[bytes, Any], None]) -> None:
        self._on_datagram = on_datagram
        self._transport: asyncio.DatagramTransport | None = None
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, data: bytes, peer: Any) -> None:
        if self._transport is not None:
            self._transport.sendto(data, peer)

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            await self._lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._on_datagram(data, addr)

    def error_received(self, exc: Exception) -> None:
        logger.debug("an answer could not be sent: %r", exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set_result(None)


def name_servers(resolv_conf: Path) -> list[str]:
    """The addresses of the name servers that the file names, in order; where it names none, this
    machine's.
    """
    found: list[str] = []
    text = resolv_conf.read_text(errors="replace") if resolv_conf.is_file() else ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1 and _is_address(words[1]):
            found.append(words[1])
    return found or list(_THIS_MACHINE)


def resolv_conf(server: str, *, namespace: str) -> str:
    """What pods of `namespace` need to know: the file Kubernetes gives them."""
    search = f"{namespace}.{CLUSTER_SUFFIX} {CLUSTER_SUFFIX} {DOMAIN}"
    return f"nameserver {server}\nsearch {search}\noptions ndots:5\n"


def _address(text: str) -> Address:
    if _is_address(text):
        return text, _PORT
    host, port = split_authority(text)
    if not _is_address(host):
        raise ValueError(f"not the address of a name server: {text!r}")
    return host, port or _PORT


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
