"""With what live traffic is watched: the token of the mesh that is asked."""

from __future__ import annotations

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find import local


def token_for(url: str) -> str:
    """That of the local mesh whose public API it is; empty for any other. CliError for one that is another
    user's.
    """
    directory = local.state_dir()
    state = local.live_state(directory)
    if state is None or state.public_api.rstrip("/") != url.rstrip("/"):
        return ""
    try:
        return directory.tap_token.read_text(encoding="ascii")
    except OSError as error:
        why = error.strerror or error
        raise CliError(
            f"only the user of this mesh may watch its traffic: {directory.tap_token}: {why}"
        ) from error
