"""The public API's client: finds the control plane, asks, and turns every failure into one line."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from linkerd2_py.base.names import DEFAULT_NAMESPACE
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.controlplane.local.state.owned import StateError
from linkerd2_py.controlplane.local.state.state_dir import default_state_dir

ADDRESS_VARIABLE: Final = "LINKERD2_PY_API_ADDR"
NOT_FOUND: Final = (
    "no linkerd2-py control plane found: run `linkerd2-py local up`, or give --api-addr"
)
TIMEOUT_S: Final = 10.0
_NAMESPACE: Final = re.compile(r"[a-zA-Z0-9-]+\Z")

Answer = Mapping[str, Any]
Query = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the control plane is, and the namespace meant when none is given."""

    url: str
    namespace: str = DEFAULT_NAMESPACE
    local: bool = False


def find(api_addr: str | None) -> Target | None:
    """The control plane by flag, environment, or the local mesh's state; None if there is none. CliError."""
    given = api_addr or os.environ.get(ADDRESS_VARIABLE)
    if given:
        return Target(given if "://" in given else f"http://{given}")
    try:
        state = default_state_dir().live()
    except StateError as error:
        raise CliError(str(error)) from error
    if state is None:
        return None
    return Target(state.public_api, namespace=state.namespace, local=True)


def chosen_namespace(given: str | None, *, target: Target) -> str:
    """The namespace to ask about. CliError if it cannot be one."""
    if given is None:
        return target.namespace
    if not _NAMESPACE.match(given):
        raise bad_usage(f"{given!r} is not a valid namespace")
    return given


class Api:
    """A connection to the public API; use it in a `with` statement."""

    def __init__(
        self, target: Target, *, verbose: bool = False, timeout_s: float = TIMEOUT_S
    ) -> None:
        import httpx2

        self.target = target
        self._errors = (httpx2.HTTPError, httpx2.InvalidURL)
        if verbose:
            logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")
        try:
            self._client = httpx2.Client(
                base_url=f"{target.url.rstrip('/')}/api/v1",
                timeout=timeout_s,
                trust_env=False,
                headers={"accept": "application/json"},
            )
        except self._errors as error:
            raise bad_usage(f"{target.url!r} is not an address: {error}") from error
        port = self._client.base_url.port
        if port is not None and not 1 <= port <= 65535:
            raise bad_usage(f"{target.url!r} is not an address: its port is not one of 1 to 65535")

    def get(self, path: str, **query: str | Sequence[str]) -> Answer:
        """One answer. CliError with the server's own line, or why there is no answer."""
        try:
            response = self._client.get(path, params=_present(query))
        except self._errors as error:
            reason = str(error) or type(error).__name__
            message = f"cannot reach the control plane at {self.target.url}: {reason}"
            raise CliError(message) from error
        return _answer(response.status_code, body=response, url=self.target.url)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(api_addr: str | None, *, verbose: bool = False, timeout_s: float = TIMEOUT_S) -> Api:
    """The client for the control plane that is there. CliError if none is."""
    target = find(api_addr)
    if target is None:
        raise CliError(NOT_FOUND)
    return Api(target, verbose=verbose, timeout_s=timeout_s)


def _answer(status: int, *, body: Any, url: str) -> Answer:
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
