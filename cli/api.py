"""The public API's client: asks, and turns every failure into one line."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, Self

from linkerd2_py.cli import output
from linkerd2_py.cli.cluster import Cluster
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.find.control_plane import ControlPlane
from linkerd2_py.cli.find.public_api import NOT_FOUND, find
from linkerd2_py.cli.options import Globals

TIMEOUT_S: Final = 10.0
_NAMESPACE: Final = re.compile(r"[a-zA-Z0-9-]+\Z")
_ROOT: Final = "/api/v1"

Document = Mapping[str, Any]
"""One JSON object, as the API gives it."""
Query = Mapping[str, str | Sequence[str]]


def check_namespace(given: Globals) -> None:
    """CliError if the namespace that is asked about cannot be one."""
    if given.namespace is not None and not _NAMESPACE.match(given.namespace):
        raise bad_usage(f"{given.namespace!r} is not a valid namespace")


class _Way(Protocol):
    """How a question gets there: CliError where no answer comes back."""

    def get(self, path: str, query: Query) -> tuple[int, bytes]:
        """Status and body."""

    def close(self) -> None:
        """May be repeated."""


class Api:
    """A connection to the public API; use it in a `with` statement.

    `namespace` is the one that is asked about.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        *,
        namespace: str | None = None,
        verbose: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.control_plane = control_plane
        self.namespace = namespace or control_plane.namespace
        if verbose:
            logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")
            output.note(f"asks {control_plane.url}, known by {control_plane.found_by}")
        cluster = control_plane.cluster
        self._way: _Way = (
            _Through(cluster, url=control_plane.url, timeout_s=timeout_s)
            if cluster
            else _Straight(control_plane.url, timeout_s=timeout_s)
        )

    def get(self, path: str, **query: str | Sequence[str]) -> Document:
        """One answer. CliError with the server's own line, or why there is no answer."""
        status, body = self._way.get(f"{_ROOT}{path}", _present(query))
        return _answer(status, body=body, url=self.control_plane.url)

    def close(self) -> None:
        self._way.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Straight:
    """By HTTP, to its address."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        import httpx2

        self._url = url
        self._errors = (httpx2.HTTPError, httpx2.InvalidURL)
        try:
            self._client = httpx2.Client(
                base_url=url.rstrip("/"),
                timeout=timeout_s,
                trust_env=False,
                headers={"accept": "application/json"},
            )
        except self._errors as error:
            raise bad_usage(f"{url!r} is not an address: {error}") from error
        port = self._client.base_url.port
        if port is not None and not 1 <= port <= 65535:
            raise bad_usage(f"{url!r} is not an address: its port is not one of 1 to 65535")

    def get(self, path: str, query: Query) -> tuple[int, bytes]:
        """See `_Way`."""
        try:
            response = self._client.get(path, params=query)
        except self._errors as error:
            reason = str(error) or type(error).__name__
            message = f"cannot reach the control plane at {self._url}: {reason}"
            raise CliError(message) from error
        return response.status_code, response.content

    def close(self) -> None:
        self._client.close()


class _Through:
    """Through the API server of its cluster, which passes on what comes below the path of a service."""

    def __init__(self, cluster: Cluster, *, url: str, timeout_s: float) -> None:
        self._cluster = cluster
        self._service = url.removeprefix(cluster.address)
        self._timeout_s = timeout_s

    def get(self, path: str, query: Query) -> tuple[int, bytes]:
        """See `_Way`."""
        from linkerd2_py.controlplane.kubernetes_api import ApiError

        try:
            return self._cluster.read(f"{self._service}{path}", query, timeout_s=self._timeout_s)
        except ApiError as error:
            hint = "; -L says in which namespace it is" if error.status == 404 else ""
            what = "no answer of the control plane through"
            raise CliError(f"{what} {self._cluster.address}: {error}{hint}") from error

    def close(self) -> None:
        self._cluster.close()


def connect(given: Globals, *, timeout_s: float = TIMEOUT_S) -> Api:
    """The client for the control plane that is there. CliError if none is."""
    check_namespace(given)
    control_plane = find(given)
    if control_plane is None:
        raise CliError(NOT_FOUND)
    return Api(control_plane, namespace=given.namespace, verbose=given.verbose, timeout_s=timeout_s)


def _answer(status: int, *, body: bytes, url: str) -> Document:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise CliError(f"{url} is not a linkerd2-py public API: status {status}, no JSON object")
    if status >= 400:
        raise CliError(str(answer.get("error") or f"the control plane answered {status}"))
    return answer


def _present(query: Query) -> dict[str, str | list[str]]:
    named = {name.removesuffix("_"): value for name, value in query.items() if value}
    return {k: v if isinstance(v, str) else list(v) for k, v in named.items()}
