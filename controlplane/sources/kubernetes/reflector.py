"""One kind of objects, listed and followed: what client-go calls a reflector.

    while it is wanted: list everything, page by page ─► `Sink.replace`
                        watch from that version on    ─► `Sink.put`, `Sink.remove`, one at a time
                        the version is too old (410)  ─► list again; what is known stays until all is read

A watch that ends, is cut or says nothing for too long is asked again from the last version that was heard,
which bookmarks keep young. Nobody is ever told of an empty moment: only a complete list replaces what was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from types import NoneType
from typing import Any, Final, Generic, Protocol, TypeVar

from linkerd2_py.base.backoff import Backoff, BackoffRange, unit_random
from linkerd2_py.base.clock import Clock
from linkerd2_py.base.slices import next_slice
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer
from linkerd2_py.controlplane.sources.kubernetes.fields import items, number, text
from linkerd2_py.controlplane.sources.kubernetes.json_text import parse

logger = logging.getLogger(__name__)

PAGE: Final = 250
"""Objects in one page of a list: to read half as many as client-go asks for holds the loop up for
some 20 ms.
"""
WATCH_S: Final = 300.0
"""The API server is asked to end a watch after this, and up to half as much again: not all end at once."""
SILENCE_S: Final = 150.0
"""An API server sends a bookmark each minute; one that has missed two is not there any more."""
PAUSES: Final = BackoffRange(min_s=0.5, max_s=30.0, jitter=1.0)
ABSENT_S: Final = 30.0
"""How often it is asked whether an optional kind has come."""
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_ALL: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind by where it is served. `optional`: clusters without it are no fault. `metadata`: the rest of it
    is not needed. `describes`: it only says more of other objects, so that nobody waits for it where it may
    not be listed.
    """

    plural: str
    group: str = ""
    version: str = "v1"
    optional: bool = False
    metadata: bool = False
    describes: bool = False
    selection: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        """Of all its objects, in all namespaces."""
        prefix = f"/apis/{self.group}" if self.group else "/api"
        return f"{prefix}/{self.version}/{self.plural}"

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


T = TypeVar("T")


class Sink(Protocol[T]):
    """Who is told. An object that makes no sense to it is its own affair: nothing here may raise."""

    def read(self, found: Json) -> T:
        """What is kept of an object. As it came it is thrown away at once: it is ten times as large."""

    def replace(self, objects: Sequence[T]) -> None:
        """These are all there are."""

    def put(self, found: T) -> None:
        """One is new, or different."""

    def remove(self, found: T) -> None:
        """One is gone; this is its last state."""


class TooOldError(Exception):
    """The version to follow from is forgotten by the API server (410 Gone): list again."""


class Reflector(Generic[T]):
    """Tells `sink` of all objects of one `resource`, for as long as `run` runs.

    `problem` says in one line why what was told may be old, or nothing was told yet; empty when all is well.
    """

    def __init__(
        self,
        resource: Resource,
        *,
        api: ApiServer,
        sink: Sink[T],
        clock: Clock,
        random: Callable[[], float] = unit_random,
    ) -> None:
        self.resource = resource
        self.synced = False
        self.problem = ""
        self._api = api
        self._sink = sink
        self._random = random
        self._backoff = Backoff(PAUSES, source=random, clock=clock)
        # The version that was heard last; empty: list.
        self._version = ""

    async def run(self) -> None:
        """List and follow until cancelled."""
        while True:
            self._backoff.begin()
            pause_s = 0.0
            try:
                if not self._version:
                    await self._list()
                if not await self._follow():
                    # Were it always so, asking again at once would never end.
                    pause_s = self._backoff.next_delay_s()
            except TooOldError:
                self._version = ""
                pause_s = self._backoff.next_delay_s()
            except ApiError as error:
                pause_s = self._failed(error)
            if pause_s:
                await asyncio.sleep(pause_s)

    async def _list(self) -> None:
        """All pages of one version. A list that grows too old between two pages begins anew."""
        objects: list[T] = []
        first = {**dict(self.resource.selection), "limit": str(PAGE)}
        query = first
        while True:
            page = await self._page(query)
            version = text(page, "metadata", "resourceVersion")
            # Go writes null for no items, and never leaves them out.
            if not version or not isinstance(page.get("items", ""), (list, NoneType)):
                # Something on the way answered: to take it for a list would empty the mesh.
                raise ApiError(f"{self._api.address}{self.resource.path}: the answer is not a list")
            objects += map(self._sink.read, items(page, "items"))
            following = text(page, "metadata", "continue")
            if not following:
                break
            query = {**first, "continue": following}
        self._sink.replace(objects)
        self._version = version
        self.synced = True

    async def _page(self, query: dict[str, str]) -> Json:
        accept = _METADATA_LIST if self.resource.metadata else _ALL
        try:
            return await self._api.get(self.resource.path, query, accept=accept)
        except ApiError as error:
            if error.status == HTTPStatus.GONE and "continue" in query:
                raise TooOldError from error
            raise

    async def _follow(self) -> bool:
        """Until the API server ends the watch, in good order or not; whether it said anything."""
        query = {
            **dict(self.resource.selection),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(int(WATCH_S * (1 + self._random() / 2))),
        }
        accept = _METADATA if self.resource.metadata else _ALL
        said = False
        lines = self._api.lines(
            self.resource.path,
            query,
            accept=accept,
            silence_s=SILENCE_S,
            on_answer=self._well,
        )
        try:
            async with aclosing(lines):
                async for line in lines:
                    # Thousands may be here already, and then nothing else waits for anything.
                    await next_slice()
                    self._heard(line)
                    self._backoff.reset()
                    said = True
        except ApiError as error:
            if error.status == HTTPStatus.GONE:
                raise TooOldError from error
            raise
        return said

    def _heard(self, line: bytes) -> None:
        """One event. Half of one is what a connection that was cut leaves."""
        try:
            event: Any = parse(line)
            kind, found = event["type"], event["object"]
            if kind == "ERROR":
                raise _error_of(found)
            version = found["metadata"]["resourceVersion"]
            if not isinstance(version, str):
                raise TypeError("a version is a text")
        except (ValueError, KeyError, TypeError) as error:
            raise ApiError(
                f"{self.resource}: an event that cannot be read: {line[:80]!r}"
            ) from error
        match kind:
            case "ADDED" | "MODIFIED":
                self._sink.put(self._sink.read(found))
            case "DELETED":
                self._sink.remove(self._sink.read(found))
        self._version = version

    def _well(self) -> None:
        if self.problem:
            logger.info("%s: followed again", self.resource)
        self.problem = ""

    def _failed(self, error: ApiError) -> float:
        """Seconds to wait before the next try."""
        if error.status == HTTPStatus.NOT_FOUND and self.resource.optional:
            # It has gone, or never came: that is a complete list of none.
            self._version = ""
            self._sink.replace(())
            self.synced = True
            self._well()
            return ABSENT_S * (1 + self._random())
        if error.status == HTTPStatus.FORBIDDEN:
            # What one may not follow any more one may not know any more; what is known stays until one may
            # again.
            self._version = ""
            if self.resource.describes and not self.synced:
                self._sink.replace(())
                self.synced = True
        problem = f"{self.resource}: {error}"
        if problem != self.problem:
            logger.warning("cannot follow %s", problem)
        self.problem = problem
        return max(self._backoff.next_delay_s(), error.retry_after_s)


def _error_of(status: Json) -> Exception:
    """What an ERROR event carries instead of an object."""
    code = number(status, "code")
    if code == HTTPStatus.GONE:
        return TooOldError()
    return ApiError(text(status, "message") or "the watch failed", status=code)
