"""A cluster, asked through its API server by a command that does one thing after the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from linkerd2_py.base.names import DEFAULT_NAMESPACE
from linkerd2_py.cli.errors import CliError

if TYPE_CHECKING:
    from linkerd2_py.cli.options import Globals
    from linkerd2_py.controlplane.kubernetes_api import Json
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

MISSING: Final = "the client of Kubernetes is missing: pip install 'linkerd2-py[k8s]'"
_T = TypeVar("_T")


class Cluster:
    """Until closed. CliError if `kubeconfig` (None: the pod's account) cannot be used."""

    def __init__(self, kubeconfig: Path | None, given: Globals) -> None:
        if find_spec("kubernetes") is None:
            raise CliError(MISSING)
        from linkerd2_py.controlplane.sources.kubernetes import api_server

        self._runner = asyncio.Runner()
        person = api_server.Person(given.user or "", tuple(given.groups or ()))
        try:
            self.api: ApiServer = self.run(
                api_server.connect(kubeconfig, within=given.within or "", person=person)
            )
        except api_server.ConfigError as error:
            self._runner.close()
            raise CliError(str(error)) from error

    @property
    def address(self) -> str:
        """URL of its API server."""
        return self.api.address

    @property
    def namespace(self) -> str:
        """The one meant when none is given."""
        return self.api.namespace or DEFAULT_NAMESPACE

    def run(self, asked: Coroutine[Any, Any, _T]) -> _T:
        """What comes of it."""
        return self._runner.run(asked)

    def get(self, path: str, query: Mapping[str, str], *, timeout_s: float) -> Json:
        """An object. Raises CliError, and `ApiError` where the API server refuses."""
        return self.run(self._within(timeout_s, self.api.get(path, query)))

    def create(self, path: str, body: Json, *, timeout_s: float) -> Json:
        """The object that became of `body`. Raises as `get`."""
        return self.run(self._within(timeout_s, self.api.create(path, body)))

    def read(
        self, path: str, query: Mapping[str, str | Sequence[str]], *, timeout_s: float
    ) -> tuple[int, bytes]:
        """Status and body of the answer of a program in the cluster. Raises CliError, and `ApiError` where
        the API server refuses.
        """
        from linkerd2_py.controlplane.kubernetes_api import ApiError

        status, body = self.run(self._within(timeout_s, self.api.read(path, query)))
        refusal = _refusal(body) if status >= 400 else ""
        if refusal:
            raise ApiError(refusal, status=status)
        return status, body

    async def _within(self, limit_s: float, asked: Coroutine[Any, Any, _T]) -> _T:
        from linkerd2_py.controlplane.kubernetes_api import ApiError

        try:
            async with asyncio.timeout(limit_s):
                return await asked
        except TimeoutError as error:
            raise CliError(f"{self.address} does not answer within {limit_s:g} s") from error
        except ApiError as error:
            if error.status:
                raise
            raise CliError(f"cannot reach the API server: {error}") from error

    def close(self) -> None:
        """Drop its connections."""
        self.run(self.api.close())
        self._runner.close()


def _refusal(body: bytes) -> str:
    """What the API server itself says; nothing where somebody behind it spoke."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(found, dict) or found.get("kind") != "Status":
        return ""
    return str(found.get("message") or "it refuses")
