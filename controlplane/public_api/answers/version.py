"""`/api/v1/version`: which control plane this is."""

import os
from functools import partial
from typing import Literal, TypedDict

from linkerd2_py import __version__
from linkerd2_py.controlplane.public_api.operation import Nothing, Operation

Source = Literal["local", "kubernetes"]


class Version(TypedDict):
    """The answer; `commit` is empty where nobody has said which, `source` is where its mesh comes from."""

    version: str
    commit: str
    source: Source


def version(source: Source) -> Operation[Nothing]:
    """The operation, of a control plane whose mesh comes from there."""
    return Operation(
        "/api/v1/version",
        "The version of the control plane",
        Nothing,
        Version,
        partial(_version, source),
    )


async def _version(source: Source, _asked: Nothing) -> Version:
    commit = os.environ.get("LINKERD2_PY_COMMIT", "")
    return {"version": __version__, "commit": commit, "source": source}
