"""Live traffic, from whoever can tell: a public API by its token, or a cluster by its API server, as the user
that one is asked as.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import Any, Final, Protocol, TypeVar

from linkerd2_py.cli.api import check_namespace
from linkerd2_py.cli.cluster import Cluster
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.find.public_api import NOT_FOUND, find
from linkerd2_py.cli.find.tap import token_for
from linkerd2_py.cli.options import Globals
from linkerd2_py.cli.resources import parse_resource, parse_resources

SILENCE_S: Final = 45.0
"""After which nobody is there any more: a watch that goes on says so every ten seconds."""
CONNECT_S: Final = 10.0
_LONGEST_LINE: Final = 4 * 1024 * 1024
_T = TypeVar("_T")

Told = Mapping[str, Any]
Asked = dict[str, Any]


class Watching(Protocol):
    """Who is asked. One at a time."""

    namespace: str
    """The one meant when none is given."""

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What comes of it; whatever watches does so in here."""

    def told(self, asked: Asked) -> AsyncGenerator[Told, None]:
        """One object after the other. CliError where it is refused, or breaks off."""

    def close(self) -> None:
        """May be repeated."""


def watching(given: Globals) -> Watching:
    """The control plane that is there. CliError if none is."""
    check_namespace(given)
    control_plane = find(given)
    if control_plane is None:
        raise CliError(NOT_FOUND)
    namespace = given.namespace or control_plane.namespace
    if control_plane.cluster is not None:
        return _Clustered(control_plane.cluster, namespace=namespace)
    return _Straight(control_plane.url, token=token_for(control_plane.url), namespace=namespace)


def question(words: list[str], *, namespace: str, to: str = "", **said: Any) -> Asked:
    """What is asked, as the public API takes it. CliError for no resource, or several."""
    resources = parse_resources(words)
    if len(resources) > 1:
        raise bad_usage("one resource can be watched at a time: use TYPE, TYPE NAME or TYPE/NAME")
    target = resources[0]
    asked: Asked = {"type": target.kind, "name": target.name}
    if target.kind != "namespace":
        asked["namespace"] = namespace
    if to:
        destination = parse_resource(to)
        asked |= {"to_type": destination.kind, "to_name": destination.name}
    elif said.get("to_namespace"):
        raise bad_usage("--to-namespace says where to find what --to names: give that, too")
    return {word: value for word, value in {**asked, **said}.items() if value not in ("", None)}


class _Straight:
    """By HTTP, to its address."""

    def __init__(self, url: str, *, token: str, namespace: str) -> None:
        self.namespace = namespace
        self._url = url.rstrip("/")
        self._token = token

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run(work)

    async def told(self, asked: Asked) -> AsyncGenerator[Told, None]:
        import httpx2

        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        limits = httpx2.Timeout(CONNECT_S, read=SILENCE_S)
        try:
            async with (
                httpx2.AsyncClient(trust_env=False, timeout=limits) as client,
                client.stream(
                    "POST", f"{self._url}/api/v1/tap", json=asked, headers=headers
                ) as answer,
            ):
                if answer.status_code != 200:
                    raise CliError(_refusal(await answer.aread(), status=answer.status_code))
                async for line in answer.aiter_lines():
                    if line.strip():
                        yield _read(line)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise CliError(f"the control plane at {self._url} is gone: {reason}") from error

    def close(self) -> None:
        return None


class _Clustered:
    """Through the API server, whose rules say who may watch."""

    def __init__(self, cluster: Cluster, *, namespace: str) -> None:
        self.namespace = namespace
        self._cluster = cluster

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._cluster.run(work)

    async def told(self, asked: Asked) -> AsyncGenerator[Told, None]:
        from linkerd2_py.controlplane.kubernetes_api import ApiError

        said = {word: value for word, value in asked.items() if word not in _IN_PATH}
        lines = self._cluster.api.lines(
            path_of(asked), {}, silence_s=SILENCE_S, on_answer=lambda: None, verb="POST", body=said
        )
        try:
            async for line in lines:
                if line.strip():
                    yield _read(line)
        except ApiError as error:
            hint = "" if error.status != 404 or "tap" in str(error) else _NO_TAP
            raise CliError(f"{error}{hint}") from error
        finally:
            await lines.aclose()

    def close(self) -> None:
        self._cluster.close()


_IN_PATH: Final = frozenset({"type", "name", "namespace"})
_NO_TAP: Final = "; has this cluster's control plane a tap? `linkerd2-py check` tells"


def path_of(asked: Asked) -> str:
    """Where an API server takes the question: its rules are about what is in the path."""
    from linkerd2_py.controlplane.tap.aggregated.paths import watch_path

    return watch_path(
        asked["type"], name=asked.get("name", ""), namespace=asked.get("namespace", "")
    )


def _read(line: str | bytes) -> Told:
    try:
        if len(line) > _LONGEST_LINE:
            raise ValueError
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise CliError("what is told of the traffic cannot be read: a line is no JSON") from None
    if not isinstance(told, dict):
        raise CliError("what is told of the traffic cannot be read: a line is no JSON object")
    return told


def _refusal(body: bytes, *, status: int) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    reason = found.get("error") if isinstance(found, dict) else ""
    if status == 404 and not reason:
        reason = "this control plane has no tap"
    return str(reason or f"the control plane answered {status}")
