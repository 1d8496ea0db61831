"""One question to one server: UDP from a fresh random port, TCP when the answer was cut short.

The socket is connected, so the kernel drops datagrams from anyone else; the random number and the
repeated question are checked on top, and a datagram that does not match is passed over, not believed.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.dns.message import MessageError, Reply, encode_question, parse_answer

RESEND_S: Final = 0.8
"""A datagram that brought no answer so long is sent again, then after twice as long, and so on: networks
lose some."""


async def ask(server: SocketAddr, *, name: str, kind: int, timeout_s: float) -> Reply:
    """The server's answer. OSError, TimeoutError or MessageError when there is none."""
    number = int.from_bytes(os.urandom(2))
    question = encode_question(name, kind=kind, number=number)
    async with asyncio.timeout(timeout_s):
        answer = await _ask_udp(server, question, name=name, kind=kind, number=number)
        if not answer.truncated:
            return answer
        raw = await _ask_tcp(server, question)
    return parse_answer(raw, name=name, kind=kind, number=number)


class _Datagrams(asyncio.DatagramProtocol):
    """Resolves `answer` with the first datagram that answers the question."""

    def __init__(self, *, name: str, kind: int, number: int) -> None:
        self._name, self._kind, self._number = name, kind, number
        self.answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self.answer.done():
            return
        try:
            answer = parse_answer(data, name=self._name, kind=self._kind, number=self._number)
        except MessageError:
            return
        self.answer.set_result(answer)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _ask_udp(
    server: SocketAddr, question: bytes, *, name: str, kind: int, number: int
) -> Reply:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Datagrams(name=name, kind=kind, number=number),
        remote_addr=(server.host, server.port),
    )
    pause_s = RESEND_S
    try:
        while not protocol.answer.done():
            transport.sendto(question)
            await asyncio.wait([protocol.answer], timeout=pause_s)
            pause_s *= 2
        return protocol.answer.result()
    finally:
        transport.close()


async def _ask_tcp(server: SocketAddr, question: bytes) -> bytes:
    """RFC 1035 section 4.2.2: two bytes of length before each message."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        writer.write(len(question).to_bytes(2) + question)
        length = int.from_bytes(await reader.readexactly(2))
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise MessageError("the connection ended before the answer") from error
    finally:
        writer.close()
