"""The public API's client: asks, and turns every failure into one line."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.find.control_plane import ControlPlane
from linkerd2_py.cli.find.public_api import NOT_FOUND, find

TIMEOUT_S: Final = 10.0
_NAMESPACE: Final = re.compile(r"[a-zA-Z0-9-]+\Z")

Document = Mapping[str, Any]
"""One JSON object, as the API gives it."""
Query = Mapping[str, str | Sequence[str]]


def chosen_namespace(given: str | None, *, control_plane: ControlPlane) -> str:
    """The namespace to ask about. CliError if it cannot be one."""
    if given is None:
        return control_plane.namespace
    if not _NAMESPACE.match(given):
        raise bad_usage(f"{given!r} is not a valid namespace")
    return given


class Api:
    """A connection to the public API; use it in a `with` statement."""

    def __init__(
        self, control_plane: ControlPlane, *, verbose: bool = False, timeout_s: float = TIMEOUT_S
    ) -> None:
        import httpx2

        self.control_plane = control_plane
        self._errors = (httpx2.HTTPError, httpx2.InvalidURL)
        if verbose:
            logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")
        try:
            self._client = httpx2.Client(
                base_url=f"{control_plane.url.rstrip('/')}/api/v1",
                timeout=timeout_s,
                trust_env=False,
                headers={"accept": "application/json"},
            )
        except self._errors as error:
            raise bad_usage(f"{control_plane.url!r} is not an address: {error}") from error
        port = self._client.base_url.port
        if port is not None and not 1 <= port <= 65535:
            raise bad_usage(
                f"{control_plane.url!r} is not an address: its port is not one of 1 to 65535"
            )

    def get(self, path: str, **query: str | Sequence[str]) -> Document:
        """One answer. CliError with the server's own line, or why there is no answer."""
        try:
            response = self._client.get(path, params=_present(query))
        except self._errors as error:
            reason = str(error) or type(error).__name__
            message = f"cannot reach the control plane at {self.control_plane.url}: {reason}"
            raise CliError(message) from error
        return _answer(response.status_code, body=response, url=self.control_plane.url)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(api_addr: str | None, *, verbose: bool = False, timeout_s: float = TIMEOUT_S) -> Api:
    """The client for the control plane that is there. CliError if none is."""
    control_plane = find(api_addr)
    if control_plane is None:
        raise CliError(NOT_FOUND)
    return Api(control_plane, verbose=verbose, timeout_s=timeout_s)


def _answer(status: int, *, body: Any, url: str) -> Document:
    try:
        answer = body.json()
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
