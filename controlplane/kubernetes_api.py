"""What components ask of a Kubernetes API server beside the objects of the mesh: a protocol, for the server
itself is known to its source only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

Json = dict[str, Any]
"""An object as it came; whoever reads a field of it expects anything there."""

MERGE_PATCH: Final = "application/merge-patch+json"


class ApiError(Exception):
    """The API server answered with an error, or not at all (status 0).

    `status` is HTTP's, `retry_after_s` what it asked us to wait, 0 when it asked for nothing.
    """

    def __init__(self, reason: str, *, status: int = 0, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_s = retry_after_s


class KubernetesApi(Protocol):
    """Objects read and written. Each raises `ApiError`, and gives the object as it is afterwards."""

    async def get(self, path: str, query: Mapping[str, str]) -> Json:
        """The object at `path`."""

    async def create(self, path: str, found: Json) -> Json:
        """A new object in the collection at `path`: 409 where there is one of its name."""

    async def replace(self, path: str, found: Json) -> Json:
        """The object at `path`, whole: 409 where it is not of the version that `found` has."""

    async def patch(self, path: str, change: Json, *, form: str = MERGE_PATCH) -> Json:
        """Some fields of the object at `path`."""

    async def delete(
        self, path: str, *, version: str = "", uid: str = "", grace_s: int | None = None
    ) -> Json:
        """No object at `path`: 409 where it is not of this version, or not this very one. What it gives may
        be a `Status`. `grace_s` is how long a pod may take, where that is not to be its own affair.
        """
