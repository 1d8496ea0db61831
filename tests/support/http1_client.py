"""HTTP/1 by hand over a raw socket: the test writes the request's bytes and sees the answer's.

It knows just enough framing to find the end of a message; every byte stays visible in `Answer.wire`.
"""

from dataclasses import dataclass

from tests.support.raw_socket import End, RawConnection


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: status, header fields in order as received, body after removing chunking."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    trailers: tuple[tuple[str, str], ...]
    wire: bytes

    def all(self, name: str) -> list[str]:
        """Every value of the field `name`, compared without case."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def one(self, name: str) -> str | None:
        """The only value of `name`, or None; AssertionError when it was sent more than once."""
        values = self.all(name)
        assert len(values) < 2, f"{name} sent {len(values)} times: {values}"
        return values[0] if values else None


class Http1Client(RawConnection):
    """A raw connection that can also read one HTTP/1 response."""

    def request(self, wire: bytes, *, method: str = "GET") -> Answer:
        """Send `wire`, then read the final answer."""
        self.send(wire)
        return self.answer(method=method)

    def answer(self, *, method: str = "GET") -> Answer:
        """The next response that is not 1xx (101 counts as final)."""
        while True:
            answer = self.any_answer(method=method)
            if answer.status == 101 or answer.status >= 200:
                return answer

    def any_answer(self, *, method: str = "GET") -> Answer:
        """The next response, interim ones included; `method` decides whether a body follows."""
        head = self.receive_until(b"\r\n\r\n")
        start, fields = parse_head(head)
        _, status_text, reason = (start + " ").split(" ", 2)
        status = int(status_text)
        named = {name.lower(): value for name, value in fields}
        body, trailers, framed = self._body(named, status=status, method=method)
        return Answer(status, reason.strip(), fields, body, trailers, head + framed)

    def _body(
        self, named: dict[str, str], *, status: int, method: str
    ) -> tuple[bytes, tuple[tuple[str, str], ...], bytes]:
        if status < 200 or status in (204, 304) or method == "HEAD":
            return b"", (), b""
        if method == "CONNECT" and status < 300:
            return b"", (), b""
        if named.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked()
        if "content-length" in named:
            body = self.receive(int(named["content-length"]))
            return body, (), body
        body, end = self.receive_to_end()
        assert end is End.FIN, "the body ended by a reset"
        return body, (), body

    def _chunked(self) -> tuple[bytes, tuple[tuple[str, str], ...], bytes]:
        body, framed = b"", b""
        while True:
            line = self.receive_until(b"\r\n")
            framed += line
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            chunk = self.receive(size + 2)
            framed += chunk
            body += chunk[:-2]
        trailers = b""
        while (line := self.receive_until(b"\r\n")) != b"\r\n":
            trailers += line
        return body, parse_fields(trailers), framed + trailers + line


def parse_head(head: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Start line and fields of a head that ends with an empty line."""
    start, _, rest = head.partition(b"\r\n")
    return start.decode("latin-1"), parse_fields(rest.removesuffix(b"\r\n"))


def parse_fields(block: bytes) -> tuple[tuple[str, str], ...]:
    """Field lines, each ended by CRLF, as (name, stripped value) in their order."""
    lines = block.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return tuple((name, value.strip()) for name, _, value in pairs)
