"""The page as it was built: `index.html`, and files whose names change with their content."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

FOLDER: Final = Path(__file__).parent / "bundle"
NOT_BUILT: Final = (
    "This copy of linkerd2-py has no dashboard: its page was not built.\n"
    "In a checkout, `./mesh build` does it. The same answers come from the command linkerd2-py.\n"
)
_TYPES: Final = mimetypes.MimeTypes()
_TYPES.add_type("text/javascript", ".js")


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str


@dataclass(slots=True)
class Bundle:
    """All files of a folder, read when they are first asked for; there are a handful."""

    folder: Path = FOLDER
    _files: dict[str, _File] = field(default_factory=dict)

    @property
    def is_there(self) -> bool:
        """Whether a page was built."""
        return (self.folder / "index.html").is_file()

    async def page(self, _request: Request) -> Response:
        """The page, at every address that its views have."""
        if not self.is_there:
            return PlainTextResponse(NOT_BUILT, status_code=503)
        return self._answer("index.html", cache="no-cache")

    async def asset(self, request: Request) -> Response:
        """A file whose name says its content."""
        name = f"assets/{request.path_params['name']}"
        if not self._read():
            return PlainTextResponse(NOT_BUILT, status_code=503)
        if name not in self._files:
            return PlainTextResponse("no such file\n", status_code=404)
        return self._answer(name, cache="public, max-age=31536000, immutable")

    def _answer(self, name: str, *, cache: str) -> Response:
        self._read()
        file = self._files[name]
        headers = {"cache-control": cache}
        return Response(file.content, media_type=file.media_type, headers=headers)

    def _read(self) -> bool:
        """Only what is there is ever served: no path of a request reaches the disk."""
        if not self._files and self.is_there:
            for path in self.folder.rglob("*"):
                if path.is_file():
                    kind = _TYPES.guess_type(path.name)[0] or "application/octet-stream"
                    name = path.relative_to(self.folder).as_posix()
                    self._files[name] = _File(path.read_bytes(), kind)
        return bool(self._files)
