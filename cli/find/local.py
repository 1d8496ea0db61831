"""The local mesh, by the state that it keeps on disk. The only place that knows where that is."""

from __future__ import annotations

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find.control_plane import ControlPlane
from linkerd2_py.controlplane.local.state.owned import StateError
from linkerd2_py.controlplane.local.state.state_dir import State, StateDir, default_state_dir


def state_dir() -> StateDir:
    """That of the mesh which commands mean. CliError if it is not ours."""
    try:
        return default_state_dir()
    except StateError as error:
        raise CliError(str(error)) from error


def live_state(directory: StateDir) -> State | None:
    """What the mesh says of itself; None if none runs. CliError."""
    try:
        return directory.live()
    except StateError as error:
        raise CliError(str(error)) from error


def running() -> tuple[StateDir, State]:
    """The mesh that is meant. CliError if none runs."""
    directory = state_dir()
    state = live_state(directory)
    if state is None:
        raise CliError("no local mesh is running: `linkerd2-py local up` starts one")
    return directory, state


def control_plane() -> ControlPlane | None:
    """Its public API; None if none runs. CliError if its state cannot be read."""
    state = live_state(state_dir())
    return None if state is None else of(state)


def of(state: State) -> ControlPlane:
    """The one that a mesh has said it has."""
    return ControlPlane(
        state.public_api,
        namespace=state.namespace,
        found_by="the local mesh",
        proxy_api=state.proxy_api,
    )


def dashboard_of(state: State) -> str:
    """The address that a browser is to be given; nothing where an older version runs.

    Behind the `#` is what lets the page watch calls: no browser sends that to anybody, and the page takes it
    out. A mesh of somebody else's keeps it to itself.
    """
    if not state.dashboard:
        return ""
    try:
        token = state_dir().tap_token.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        token = ""
    return f"{state.dashboard}/#token={token}" if token else f"{state.dashboard}/"
