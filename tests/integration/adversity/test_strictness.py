"""What nginx or HAProxy refuse of the corpus, the proxy refuses too."""

from pathlib import Path

import pytest

from tests.integration.adversity.hostile_requests import CORPUS
from tests.integration.adversity.other_proxies import installed, other_proxy
from tests.integration.adversity.recording_origin import recording_origin
from tests.integration.adversity.rig import converse

# Ends the connection in order where the case itself leaves it open; others take a half-close for a
# cancellation.
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
# Requests that pass here although another proxy refuses them, and why that is safe.
EXCEPTIONS = {
    "target-dots": "nginx resolves paths itself; here the path is the server's business and travels byte for byte",
    "target-percent-nul": "as above: nothing here decodes a path",
    "target-high-bit": "bytes above ASCII pass as they came, as in Linkerd; nothing here ends a word at one",
    "target-utf-8": "as above",
    "method-lower": "methods are case-sensitive tokens (RFC 9110 section 9.1), and `get` is not GET to anybody",
    "host-empty": "RFC 9112 section 3.2 asks for it where the target has no authority; the connection's target decides",
    "absolute-other-host": "the target wins (RFC 9112 section 3.2.2), as in Linkerd",
    "upgrade-h2c-listed": "HAProxy checks WebSocket handshakes; a list with h2c is no upgrade here",
    "upgrade-refused-then-request": "HAProxy misses a Sec-WebSocket-Key, which the server checks",
}


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_at_least_as_strict_as(name: str, tmp_path: Path) -> None:
    if installed(name) is None:
        pytest.skip(f"{name} is not installed")
    looser = {}
    async with recording_origin() as server:
        with other_proxy(name, tmp_path, server.address) as address:
            for title, case in CORPUS.items():
                if not case.arrives or title in EXCEPTIONS:
                    continue
                before = len(server.requests)
                answers, _ = await converse(address, case.wire + LAST, half_close=False)
                arrived = sum(request.target != b"/last" for request in server.requests[before:])
                if arrived < case.arrives:
                    looser[title] = (arrived, case.arrives, answers[:60])
    assert not looser, list(looser)
