"""Questions to a Kubernetes API server: who answers where and as whom we ask is the client library's
business.

Its typed models are left out: they cost twenty times the parsing, and of most objects we need a few fields.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import yaml
from kubernetes.aio import client, config
from multidict import CIMultiDict

from linkerd2_py.controlplane.kubernetes_api import MERGE_PATCH, ApiError, Json
from linkerd2_py.controlplane.sources.kubernetes.json_text import parse

CONNECT_LIMIT_S: Final = 10.0
ANSWER_LIMIT_S: Final = 60.0
"""For one page of a list, and for what is written."""
_SHOWN: Final = 20
"""Contexts, where the one that is meant is none of them."""
_END_S, _LOOK_S = 1.0, 0.002
_STATUS_BYTES: Final = 64 * 1024
_AS_JSON: Final = "application/json"
_WRITTEN: Final = {"Accept": _AS_JSON, "Content-Type": _AS_JSON}
_GOOD: Final = frozenset({200, 201})
"""A question was answered, an object was made."""


_UNUSABLE: Final = (
    *(config.ConfigException, OSError, ValueError, yaml.YAMLError),
    # What the library makes of a file that has something else where it expects an object.
    *(TypeError, AttributeError, KeyError),
)


class ConfigError(Exception):
    """Nobody says where the API server is, or what says so cannot be used."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in whose name questions are asked; nobody else but ourselves, where `name` is empty."""

    name: str = ""
    groups: tuple[str, ...] = ()

    def headers(self) -> list[tuple[str, str]]:
        """What an API server is told of them."""
        named = [("Impersonate-User", self.name)] if self.name else []
        return [*named, *(("Impersonate-Group", group) for group in self.groups)]


class ApiServer:
    """One API server, until closed. Each question is asked with the credentials of that moment.

    `namespace` is the one that its kubeconfig means where none is named.
    """

    def __init__(
        self,
        configuration: client.Configuration,
        *,
        namespace: str = "",
        person: Person | None = None,
    ) -> None:
        # As many long questions as there are kinds, and short ones beside them.
        configuration.connection_pool_maxsize = 0
        self._client = client.ApiClient(configuration)
        self._person = person or Person()
        self.namespace = namespace

    @property
    def address(self) -> str:
        """Its URL."""
        return str(self._client.configuration.host)

    async def close(self) -> None:
        """Drop all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(self, path: str, query: Mapping[str, str], *, accept: str = _AS_JSON) -> Json:
        """The object at `path`. Raises `ApiError`."""
        return await self._object("GET", path, query, headers={"Accept": accept})

    async def read(self, path: str, query: Mapping[str, str | Sequence[str]]) -> tuple[int, bytes]:
        """Status and body of whatever answer there is: of who is behind the API server, at the path of a
        proxy. Raises `ApiError` where there is none.
        """
        limits = aiohttp.ClientTimeout(total=ANSWER_LIMIT_S, connect=CONNECT_LIMIT_S)
        headers = {"Accept": _AS_JSON}
        asked = self._asked("GET", path, query, headers=headers, limits=limits, any_status=True)
        async with asked as answer:
            return answer.status, await answer.read()

    async def create(self, path: str, found: Json) -> Json:
        """See `KubernetesApi`."""
        return await self._object("POST", path, {}, headers=_WRITTEN, body=found)

    async def replace(self, path: str, found: Json) -> Json:
        """See `KubernetesApi`."""
        return await self._object("PUT", path, {}, headers=_WRITTEN, body=found)

    async def patch(self, path: str, change: Json, *, form: str = MERGE_PATCH) -> Json:
        """See `KubernetesApi`."""
        headers = {"Accept": _AS_JSON, "Content-Type": form}
        return await self._object("PATCH", path, {}, headers=headers, body=change)

    async def delete(
        self, path: str, *, version: str = "", uid: str = "", grace_s: int | None = None
    ) -> Json:
        """See `KubernetesApi`."""
        conditions = {"resourceVersion": version, "uid": uid}
        only: Json = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {name: value for name, value in conditions.items() if value},
            **({} if grace_s is None else {"gracePeriodSeconds": grace_s}),
        }
        return await self._object("DELETE", path, {}, headers=_WRITTEN, body=only)

    async def lines(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        accept: str = _AS_JSON,
        silence_s: float,
        on_answer: Callable[[], None],
        verb: str = "GET",
        body: Json | None = None,
    ) -> AsyncGenerator[bytes]:
        """The lines of an answer that goes on, after `on_answer` was told that it is a good one.

        Raises `ApiError`, also when nothing has come for `silence_s`.
        """
        limits = aiohttp.ClientTimeout(total=None, connect=CONNECT_LIMIT_S, sock_read=silence_s)
        headers = (
            {"Accept": accept} if body is None else {"Accept": accept, "Content-Type": _AS_JSON}
        )
        asked = self._asked(verb, path, query, headers=headers, limits=limits, body=body)
        async with asked as answer:
            on_answer()
            while line := await answer.content.readline():
                yield line

    @asynccontextmanager
    async def websocket(
        self, path: str, query: Mapping[str, str], *, protocol: str
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A connection that speaks `protocol`, with whoever answers there. Raises `ApiError` where nobody
        does.
        """
        _, url, told, _, _ = await self._client.param_serialize(
            "GET", path, query_params=_each(query), header_params={}, auth_settings=["BearerToken"]
        )
        rest = self._client.rest_client
        # As the library does for its own questions.
        rest.pool_manager = rest.pool_manager or rest._create_pool_manager()  # noqa: SLF001
        try:
            opened = await rest.pool_manager.ws_connect(
                url,
                protocols=(protocol,),
                headers=CIMultiDict([*told.items(), *self._person.headers()]),
                proxy=rest.proxy,
                max_msg_size=0,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise ApiError(
                f"{path}: {error.status} {error.message}", status=error.status
            ) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ApiError(f"{self.address}{path}: {_unanswered(error)}") from error
        socket = opened.get_extra_info("socket")
        async with opened:
            yield opened
        # TLS ends with a round trip, for which the loop must still be there.
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                # Nobody tells when it has.
                while socket is not None and socket.fileno() != -1:  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_S)

    async def _object(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str],
        *,
        headers: Mapping[str, str],
        body: Json | None = None,
    ) -> Json:
        """The object that a question is answered with."""
        limits = aiohttp.ClientTimeout(total=ANSWER_LIMIT_S, connect=CONNECT_LIMIT_S)
        asked = self._asked(verb, path, query, headers=headers, limits=limits, body=body)
        async with asked as answer:
            return _object(await answer.read(), path=path)

    @asynccontextmanager
    async def _asked(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str | Sequence[str]],
        *,
        headers: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
        body: Json | None = None,
        any_status: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A good answer to one question, its body unread; what goes wrong with it is an `ApiError`."""
        answer: aiohttp.ClientResponse | None = None
        try:
            words = await self._client.param_serialize(
                verb,
                path,
                query_params=_each(query),
                header_params=dict(headers),
                body=body,
                auth_settings=["BearerToken"],
            )
            verb, url, told, text, form = words
            whole = CIMultiDict([*told.items(), *self._person.headers()])
            response = await self._client.call_api(
                verb, url, whole, text, form, _request_timeout=limits
            )
            answer = response.response
            if answer.status not in _GOOD and not any_status:
                raise await _refused(answer)
            yield answer
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ApiError(f"{self.address}{path}: {_unanswered(error)}") from error
        finally:
            if answer is not None:
                _drop(answer)


def _drop(answer: aiohttp.ClientResponse) -> None:
    """Whatever was not read of it will not be, and its connection is not waited for to say goodbye."""
    connection = answer.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    answer.close()


async def connect(
    kubeconfig: Path | None = None, *, within: str = "", person: Person | None = None
) -> ApiServer:
    """As a kubeconfig says (`within`: the context of that name, not its current one); without one as the
    pod's own account.

    Raises `ConfigError`.
    """
    configuration, namespace = client.Configuration(), ""
    try:
        if kubeconfig is None:
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            _look_for(kubeconfig, within=within)
            loaded = await config.load_kube_config(  # type: ignore[no-untyped-call]
                str(kubeconfig),
                context=within or None,
                client_configuration=configuration,
                # A file of the user's is not ours to write.
                persist_config=False,
            )
            namespace = str(loaded.current_context["context"].get("namespace") or "")
        return ApiServer(configuration, namespace=namespace, person=person)
    except _UNUSABLE as error:
        where = kubeconfig or "no kubeconfig is given, and this is no pod"
        raise ConfigError(_unusable(error, where=where)) from error


def contexts_of(kubeconfig: Path) -> list[str]:
    """The names that `within` may have. Raises `ConfigError`."""
    try:
        found, _ = config.list_kube_config_contexts(str(kubeconfig))  # type: ignore[no-untyped-call]
        return [str(one["name"]) for one in found]
    except _UNUSABLE as error:
        raise ConfigError(_unusable(error, where=kubeconfig)) from error


def _look_for(kubeconfig: Path, *, within: str) -> None:
    """The library goes on without a file that is not there, and then says what that lacks. It may be a list
    of files, of which some may be missing. ConfigError for a context that is in none of them.
    """
    files = (Path(one) for one in str(kubeconfig).split(os.pathsep) if one)
    if not any(file.expanduser().exists() for file in files):
        raise FileNotFoundError(errno.ENOENT, "there is no such file", str(kubeconfig))
    if not within:
        return
    known = contexts_of(kubeconfig)
    if within not in known:
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        listed = ", ".join(known[:_SHOWN]) or "none"
        raise ConfigError(
            f"{kubeconfig}: there is no context {within!r}; there are: {listed}{more}"
        )


def _unusable(error: Exception, *, where: Path | str) -> str:
    """Some of them are about the library's own insides."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, (TypeError, AttributeError, KeyError)):
        return f"{where}: it is not a kubeconfig"
    return f"{where}: {error}"


def _unanswered(error: Exception) -> str:
    """Where nobody listens, the library writes the address once more, and its own insides."""
    # Those that derive from it are of TLS, of names or of a proxy, and say so.
    if type(error) is aiohttp.ClientConnectorError:
        number = error.os_error.errno or 0
        if number in errno.errorcode:
            return f"cannot connect: {os.strerror(number)}"
    return str(error) or type(error).__name__


def _each(query: Mapping[str, str | Sequence[str]]) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, values in query.items()
        for value in ((values,) if isinstance(values, str) else values)
    ]


async def _refused(answer: aiohttp.ClientResponse) -> ApiError:
    """The reason is that of the `Status` object, where there is one."""
    body = await answer.content.read(_STATUS_BYTES)
    try:
        reason = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        reason = f"{answer.status} {answer.reason}"
    return ApiError(reason, status=answer.status, retry_after_s=_seconds(answer.headers))


def _seconds(headers: Mapping[str, str]) -> float:
    """API servers say Retry-After in whole seconds only."""
    said = headers.get("Retry-After", "")
    return float(said) if said.isdecimal() and len(said) < 6 else 0.0


def _object(body: bytes, *, path: str) -> Json:
    found = parse(body)
    if not isinstance(found, dict):
        raise ApiError(f"{path}: the answer is not an object")
    return found
