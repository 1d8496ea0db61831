"""What people say of the requests to a service: its routes, how often they are tried again, and where else
they go.
"""

from dataclasses import dataclass
from typing import NamedTuple

from linkerd2_py.controlplane.mesh.objects import Key, MeshObject


@dataclass(frozen=True, slots=True)
class RequestMatch:
    """Requests for which all holds that is given: a `method`, a regular expression of the `path`, and
    conditions of conditions.
    """

    all: tuple["RequestMatch", ...] | None = None
    any: tuple["RequestMatch", ...] | None = None
    inverse: "RequestMatch | None" = None
    method: str = ""
    path: str = ""


class StatusRange(NamedTuple):
    """HTTP statuses, both ends among them; 0 is no bound."""

    lowest: int
    highest: int


@dataclass(frozen=True, slots=True)
class ResponseMatch:
    """Responses for which all holds that is given."""

    all: tuple["ResponseMatch", ...] | None = None
    any: tuple["ResponseMatch", ...] | None = None
    inverse: "ResponseMatch | None" = None
    status: StatusRange | None = None


class ResponseClass(NamedTuple):
    """What responses of one kind count as."""

    condition: ResponseMatch
    is_failure: bool


@dataclass(frozen=True, slots=True)
class Route:
    """Requests that belong together. They have no `timeout_s` where it is 0."""

    name: str
    condition: RequestMatch
    classes: tuple[ResponseClass, ...] = ()
    is_retryable: bool = False
    timeout_s: float = 0.0


class RetryBudget(NamedTuple):
    """How many more requests retries may make."""

    ratio: float
    per_second: int
    ttl_s: float


class Override(NamedTuple):
    """Where a part of the requests goes instead: `host` or `host:port`, and its weight of 10,000."""

    authority: str
    weight: int


@dataclass(frozen=True, slots=True)
class ServiceProfile(MeshObject):
    """What is said of the service whose full name it has: by its owners, in its namespace, or by clients, in
    theirs.

    One that cannot be understood says nothing but its `problem`.
    """

    namespace: str
    name: str
    routes: tuple[Route, ...] = ()
    budget: RetryBudget | None = None
    overrides: tuple[Override, ...] = ()
    problem: str = ""

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)
