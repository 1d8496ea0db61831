"""A container for looking into a pod, where an annotation asks for one."""

from __future__ import annotations

from linkerd2_py.charts.nodes import Default, Ref, Tree, text


def debug_sidecar() -> dict[str, Tree]:
    """Probes that never fail, for those who insist that containers have some."""
    image = "debugContainer.image"
    nothing = {"exec": {"command": ["true"]}}
    return {
        "name": "linkerd-debug",
        "image": text(
            Ref(f"{image}.name"), ":", Default(Ref(f"{image}.version"), Ref("linkerdVersion"))
        ),
        "imagePullPolicy": Default(Ref(f"{image}.pullPolicy"), Ref("imagePullPolicy")),
        "livenessProbe": nothing,
        "readinessProbe": nothing,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
