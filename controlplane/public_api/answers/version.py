"""`/api/v1/version`: which control plane this is."""

import os
from typing import TypedDict

from linkerd2_py import __version__
from linkerd2_py.controlplane.public_api.operation import Nothing, Operation


class Version(TypedDict):
    """The answer; `commit` is empty where nobody has said which."""

    version: str
    commit: str


def version() -> Operation[Nothing]:
    """The operation."""
    return Operation(
        "/api/v1/version", "The version of the control plane", Nothing, Version, _version
    )


async def _version(_asked: Nothing) -> Version:
    return {"version": __version__, "commit": os.environ.get("LINKERD2_PY_COMMIT", "")}
