"""Queries for other people's names: passed on as they are to the machine's name servers, one after the other.

Each goes out with a random number from a socket of its own, connected, so that the kernel drops datagrams
from anyone else; what does not repeat number and question is passed over, not believed.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode

from linkerd2_py.controlplane.local.names.messages import Query

WAITING_MAX: Final = 1000
SOCKETS_MAX: Final = 128
"""At one time; others wait for a socket, so that a flood of names leaves descriptors for everything else."""
TIMEOUT_S: Final = 2.0
# A server that says so may be the wrong one to ask; resolvers go on to the next.
_FAILURES: Final = {dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED}

Address = tuple[str, int]

logger = logging.getLogger(__name__)


class Forwarder:
    """Asks the `servers` there are in order, each for `timeout_s`."""

    def __init__(
        self, servers: Callable[[], Sequence[Address]], *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._servers = servers
        self._timeout_s = timeout_s
        self._waiting = 0
        self._sockets = asyncio.Semaphore(SOCKETS_MAX)

    async def ask(self, query: Query, *, stream: bool) -> bytes | None:
        """The first usable answer, else the first failure; None when nobody answers or too many wait."""
        if self._waiting >= WAITING_MAX:
            return None
        self._waiting += 1
        try:
            return await self._ask_in_turn(query, stream=stream)
        finally:
            self._waiting -= 1

    async def _ask_in_turn(self, query: Query, *, stream: bool) -> bytes | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._sockets.acquire()
        except TimeoutError:
            return None
        try:
            return await self._ask_each(query, stream=stream)
        finally:
            self._sockets.release()

    async def _ask_each(self, query: Query, *, stream: bool) -> bytes | None:
        failure: bytes | None = None
        for server in self._servers():
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await _ask(server, query, stream=stream)
            except (OSError, EOFError) as error:
                logger.debug("name server %s does not answer: %r", server[0], error)
                continue
            if answer[3] & 0x0F not in _FAILURES:
                return answer
            failure = failure or answer
        return failure


async def _ask(server: Address, query: Query, *, stream: bool) -> bytes:
    """The server's answer with the client's number. OSError or EOFError when there is none."""
    number = os.urandom(2)
    ask = _ask_tcp if stream else _ask_udp
    answer = await ask(server, number + query.raw[2:], query)
    return query.raw[:2] + answer[2:]


class _Datagrams(asyncio.DatagramProtocol):
    """Resolves `answer` with the first datagram that answers what was asked."""

    def __init__(self, asked: bytes, query: Query) -> None:
        self._asked = asked
        self._query = query
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.answer.done() and _answers(data, asked=self._asked, query=self._query):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _ask_udp(server: Address, asked: bytes, query: Query) -> bytes:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(asked, query), remote_addr=server
    )
    try:
        transport.sendto(asked)
        return await protocol.answer
    finally:
        transport.close()


async def _ask_tcp(server: Address, asked: bytes, query: Query) -> bytes:
    """RFC 1035 section 4.2.2: two bytes of length before each message."""
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(len(asked).to_bytes(2) + asked)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
    finally:
        writer.transport.abort()
    if not _answers(answer, asked=asked, query=query):
        raise EOFError("the answer is to another question")
    return answer


def _answers(raw: bytes, *, asked: bytes, query: Query) -> bool:
    if raw[:2] != asked[:2]:
        return False
    try:
        answer = dns.message.from_wire(raw, question_only=True)
    except dns.exception.DNSException:
        return False
    return (
        bool(answer.flags & dns.flags.QR)
        and answer.opcode() == dns.opcode.QUERY
        and answer.question == query.message.question
    )
