"""Where manifests are: a file, a folder, an https URL, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from linkerd2_py.base.logs import printable
from linkerd2_py.cli.errors import CliError

LARGEST_BYTES: Final = 64 * 1024 * 1024
_LIMIT_S: Final = 30.0
_NAMES: Final = frozenset((".yaml", ".yml", ".json"))


class Manifest(NamedTuple):
    """A text, and what to call it."""

    name: str
    text: str


def read_manifests(where: str) -> list[Manifest]:
    """All there are; of a folder its YAML and JSON files, and those of the folders in it. CliError if one
    cannot be read.
    """
    if where == "-":
        return [_decoded("standard input", sys.stdin.buffer.read(LARGEST_BYTES + 1))]
    try:
        address = urlsplit(where)
        if address.scheme and address.netloc:
            return [_decoded(where, _fetched(where))]
        path = Path(where)
        if not path.is_dir():
            return [_decoded(where, _read(path))]
        found = sorted(one for one in path.rglob("*") if one.suffix in _NAMES and one.is_file())
        if not found:
            raise CliError(f"{where}: there is no .yaml, .yml or .json file in this folder")
        return [_decoded(str(one), _read(one)) for one in found]
    except OSError as error:
        name = error.filename or where
        raise CliError(f"{printable(str(name))}: {error.strerror or error}") from error
    except ValueError as error:
        raise CliError(f"{printable(where)}: {error}") from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_BYTES + 1)


def _decoded(name: str, content: bytes) -> Manifest:
    shown = printable(name)
    if len(content) > LARGEST_BYTES:
        raise CliError(f"{shown}: is larger than {LARGEST_BYTES >> 20} MiB")
    try:
        return Manifest(shown, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise CliError(f"{shown}: is no text: {error.reason} at byte {error.start}") from error


def _fetched(url: str) -> bytes:
    if urlsplit(url).scheme.lower() != "https":
        raise CliError("only HTTPS URLs are allowed")
    import httpx2

    try:
        with (
            httpx2.Client(timeout=_LIMIT_S, follow_redirects=True) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != 200 or response.url.scheme != "https":
                words = f"the server answered {response.status_code} {response.reason_phrase}"
                raise CliError(f"unable to read URL {printable(url)}: {printable(words)}")
            content = bytearray()
            for part in response.iter_bytes():
                content += part
                if len(content) > LARGEST_BYTES:
                    break
            return bytes(content)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise CliError(f"unable to read URL {printable(url)}: {error}") from error
