"""The container of the proxy."""

from __future__ import annotations

from linkerd2_py.charts.nodes import (
    AtLeast,
    Expression,
    Not,
    Ref,
    Tree,
    When,
    every,
    some,
    spread,
    text,
)
from linkerd2_py.charts.pod.environment import environment
from linkerd2_py.charts.pod.kinds import (
    POD_INFO,
    PROXY_IMAGE,
    PULL_POLICY,
    SECCOMP,
    TRACED,
    Meshed,
    as_text,
)
from linkerd2_py.charts.pod.resources import resources

NATIVE = Ref("proxy.nativeSidecar")
"""An init container that is never done, which Kubernetes ends last; else one beside the others."""
_ADMIN = Ref("proxy.ports.admin")
_AWAIT = Ref("proxy.await")
_LINGERS = Ref("proxy.waitBeforeExitSeconds")


def proxy(pod: Meshed) -> dict[str, Tree]:
    """The proxy of `pod`, native or classic as the values say."""
    return {
        "name": "linkerd-proxy",
        "image": PROXY_IMAGE,
        "imagePullPolicy": PULL_POLICY,
        "restartPolicy": When(NATIVE, "Always"),
        "env": environment(pod),
        "ports": [
            {"name": "linkerd-proxy", "containerPort": Ref("proxy.ports.inbound")},
            {"name": "linkerd-admin", "containerPort": _ADMIN},
        ],
        "livenessProbe": _probe("/live", "livenessProbe", "timeoutSeconds"),
        "readinessProbe": _probe("/ready", "readinessProbe", "timeoutSeconds"),
        "startupProbe": When(
            every(NATIVE, _AWAIT),
            _probe("/ready", "startupProbe", "periodSeconds", "failureThreshold"),
        ),
        "lifecycle": When(every(Not(NATIVE), some(_AWAIT, _LINGERS)), _lifecycle()),
        "resources": resources(*pod.resources),
        "securityContext": When(
            Ref("proxy.securityContext"), Ref("proxy.securityContext"), otherwise=_security()
        ),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {
                "name": "linkerd-identity-end-entity",
                "mountPath": "/var/run/linkerd/identity/end-entity",
            },
            When(TRACED, {"name": "linkerd-podinfo", "mountPath": POD_INFO}),
            When(
                Ref("identity.serviceAccountTokenProjection"),
                {"name": "linkerd-identity-token", "mountPath": "/var/run/secrets/tokens"},
            ),
            When(Ref("proxy.saMountPath"), account_mount("proxy.saMountPath")),
        ],
    }


def account_mount(path: str) -> Tree:
    """Where the first container of a user's pod has the token of its account."""
    return {
        "name": Ref(f"{path}.name"),
        "mountPath": Ref(f"{path}.mountPath"),
        "readOnly": When(Ref(f"{path}.readOnly"), Ref(f"{path}.readOnly")),
    }


def capabilities(add: Expression, drop: Expression, *always: str) -> Tree:
    """Those that a container gets beside its image's, and those that it loses."""
    added: Tree = {"add": When(add, [spread(add)])}
    if always:
        added = {"add": [*always, spread(add)]}
    return {**added, "drop": When(drop, [spread(drop)])}  # type: ignore[dict-item]


def _probe(path: str, name: str, *fields: str) -> Tree:
    delay = Ref(f"proxy.{name}.initialDelaySeconds")
    return {
        "httpGet": {"path": path, "port": _ADMIN},
        "initialDelaySeconds": When(delay, delay),
        **{field: Ref(f"proxy.{name}.{field}") for field in fields},
    }


def _lifecycle() -> Tree:
    waits: list[Tree] = ["/usr/lib/linkerd/linkerd-await", "--timeout=2m", text("--port=", _ADMIN)]
    return {
        "postStart": When(_AWAIT, {"exec": {"command": waits}}),
        "preStop": When(_LINGERS, {"exec": {"command": ["/bin/sleep", as_text(_LINGERS)]}}),
    }


def _security() -> Tree:
    given = Ref("proxy.capabilities")
    gid = Ref("proxy.gid")
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": When(
            given, capabilities(Ref("proxy.capabilities.add"), Ref("proxy.capabilities.drop"))
        ),
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": Ref("proxy.uid"),
        "runAsGroup": When(AtLeast(gid, 0), gid),
        "seccompProfile": SECCOMP,
    }
