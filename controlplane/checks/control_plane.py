"""What the control plane finds when it looks at itself, for `check`."""

from collections.abc import Awaitable, Callable

from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.mesh.store import Mesh


async def control_plane_checks(
    mesh: Mesh, *, proxy_api_problem: Callable[[], Awaitable[str]]
) -> list[CheckResult]:
    """Ask every part that answers for the mesh; `proxy_api_problem` gives "" when proxies are served."""
    return [check_mesh(mesh), await _check_proxy_api(proxy_api_problem)]


def check_mesh(mesh: Mesh) -> CheckResult:
    """Whether its source has said all there is, and there is something."""
    description = "control plane can read the mesh"
    if mesh.unsynced:
        kinds = ", ".join(kind.__name__ for kind in mesh.unsynced)
        return CheckResult(description, "error", f"not synced: {kinds}")
    if not (mesh.workloads or mesh.pods):
        return CheckResult(description, "warning", "the mesh has no workloads and no pods")
    return CheckResult(description)


async def _check_proxy_api(problem: Callable[[], Awaitable[str]]) -> CheckResult:
    description = "control plane can talk to the proxy-api"
    message = await problem()
    return CheckResult(description, "error", message) if message else CheckResult(description)
