"""Prints the document that a URL leads to, for a proxy, which has no TLS of Python's: that and a client of
HTTP would be 3 MiB in every pod, for what one in many asks for once in a while.

    python -m linkerd2_py.proxy.pod.fetch URL

Exit status 1 and a line on stderr where there is none. No redirects are followed and no proxy is asked, for
where keys come from is somebody's decision.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

LARGEST: Final = 512 * 1024
TIMEOUT_S: Final = 5.0
"""Between two bytes; who waits for this program has a limit of its own."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirect is an answer without a document."""

    def redirect_request(self, *_: object) -> None:
        """None."""


def main(words: Sequence[str]) -> int:
    """0 once the document is written."""
    (url,) = words
    opener = build_opener(ProxyHandler({}), _NoRedirects())
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310  # checked by who starts us
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            document = document_of(answer)
    except HTTPError as error:
        return _refuse(f"it answers {error.code}")
    except URLError as error:
        return _refuse(str(error.reason))
    except (OSError, ValueError, HTTPException) as error:
        return _refuse(str(error) or type(error).__name__)
    sys.stdout.buffer.write(document)
    return 0


def document_of(answer: HTTPResponse) -> bytes:
    """ValueError for one that is no document, too large, or was cut."""
    if answer.status != 200:
        raise ValueError(f"it answers {answer.status}")
    fields = answer.headers
    codings = [*fields.get_all("content-encoding", []), *fields.get_all("transfer-encoding", [])]
    if codings not in ([], ["chunked"]):
        raise ValueError("the answer is in a coding that was not asked for")
    document = answer.read(LARGEST + 1)
    if len(document) > LARGEST:
        raise ValueError(f"an answer of more than {LARGEST} bytes")
    if not document:
        raise ValueError("an empty answer")
    # What the server said it would send and has not; http.client tells of a chunked one itself.
    if answer.length:
        raise ValueError("the answer was cut")
    return document


def _refuse(reason: str) -> int:
    print(" ".join(reason.split()), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
