"""Where images are fetched from, when a user says so for all of them."""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "LINKERD_DOCKER_REGISTRY"


def registry(said: str | None) -> str:
    """What `--registry` says, else the environment; "" when nobody says."""
    return said or os.environ.get(VARIABLE) or ""


def moved(image: str, to: str) -> str:
    """The same image of another registry: by what it is called at the end."""
    return f"{to.rstrip('/')}/{image.rpartition('/')[2]}"
