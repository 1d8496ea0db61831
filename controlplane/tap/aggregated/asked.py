"""The same API from its other side: a `Tap` for whom the cluster lets watch as this process's own account."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final, Protocol

from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json
from linkerd2_py.controlplane.tap.aggregated.paths import GROUP_VERSION, watch_path
from linkerd2_py.controlplane.tap.events import Told
from linkerd2_py.controlplane.tap.refusals import (
    BadRequestError,
    NotAllowedError,
    NotFoundError,
    NotReadyError,
    TapRefusedError,
    TooManyError,
)
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.controlplane.tap.tap import User
from linkerd2_py.controlplane.tap.watcher import Watcher

SILENCE_S: Final = 45.0
"""After which nobody is there any more: a watch that goes on says so every ten seconds."""
ENDED: Final = "the tap of the cluster has ended it: watch again"
_IN_PATH: Final = frozenset({"type", "name", "namespace"})
_REFUSALS: Final = {
    error.status: error for error in (BadRequestError, NotFoundError, TooManyError, NotReadyError)
}

logger = logging.getLogger(__name__)


class AsksApiServer(Protocol):
    """What is asked for an answer that goes on."""

    def lines(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        silence_s: float,
        on_answer: Callable[[], None],
        verb: str,
        body: Json,
    ) -> AsyncGenerator[bytes]:
        """Its lines. Raises `ApiError`."""


class ApiServerTap:
    """A `Tap` behind an API server, which knows who we are. Whoever asks us watches what we may: a door that
    has users of its own is to let in those who may all that.
    """

    def __init__(self, api: AsksApiServer) -> None:
        self._api = api

    async def watch(self, request: TapRequest, *, user: User) -> Watcher:
        """See `Tap`."""
        logger.debug("%s watches %s", user.name, request)
        said = request.said()
        path = watch_path(request.kind, name=request.name, namespace=request.namespace)
        body = {word: value for word, value in said.items() if word not in _IN_PATH}
        lines = self._api.lines(
            path, {}, silence_s=SILENCE_S, on_answer=lambda: None, verb="POST", body=body
        )
        try:
            # Who may watch is told at once how many are watched.
            first = await anext(lines)
        except ApiError as error:
            raise _refusal(error) from error
        except StopAsyncIteration:
            raise NotReadyError(ENDED) from None

        def close(_: Watcher) -> None:
            telling.cancel()

        watcher = Watcher(on_close=close, on_lost=lambda _: None)
        _tell(watcher, first)
        telling = spawn(_pass_on(lines, watcher), name="tap-of-api-server")
        return watcher


async def _pass_on(lines: AsyncGenerator[bytes], watcher: Watcher) -> None:
    """Until one of both ends has enough; the reason is told, whatever it is."""
    reason = ENDED
    try:
        async for line in lines:
            _tell(watcher, line)
    except ApiError as error:
        reason = str(error)
    finally:
        watcher.end(reason)
        await lines.aclose()


def _tell(watcher: Watcher, line: bytes) -> None:
    """An empty line says that it goes on."""
    told = _read(line) if line.strip() else None
    match told:
        case None:
            return
        case {"notice": "watching"}:
            watcher.show(told)  # type: ignore[arg-type]  # its form is the other process's affair
        case {"notice": "lost", "events": int(events)}:
            watcher.lose(events)
        case {"notice": "ended", "reason": str(reason)}:
            watcher.end(reason)
        case _:
            watcher.put(told)


def _read(line: bytes) -> Told | None:
    """Nothing where it is none of what a tap says."""
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None  # type: ignore[return-value]


def _refusal(error: ApiError) -> TapRefusedError:
    """As the API server said it, or the tap behind it, which says more than the number."""
    if error.status in {401, 403}:
        return NotAllowedError(f"not allowed to watch calls: {error}")
    if error.status == NotFoundError.status and str(error).startswith(str(error.status)):
        return NotReadyError(f"this cluster has no tap: the API {GROUP_VERSION} is not installed")
    return _REFUSALS.get(error.status, NotReadyError)(str(error))
