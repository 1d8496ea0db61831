"""Deployments of components: one or more processes of the controller image in a pod, meshed by this
manifest, since the injector leaves the control plane alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from linkerd2_py.charts.control_plane.named import (
    CREATED_BY,
    labels,
    metadata,
    own_labels,
)
from linkerd2_py.charts.nodes import (
    NAMESPACE,
    Applied,
    AtLeast,
    Default,
    Function,
    Not,
    Operand,
    Ref,
    Shared,
    Tree,
    When,
    extended,
    some,
    text,
)
from linkerd2_py.charts.pod.before import init, validator
from linkerd2_py.charts.pod.kinds import SECCOMP, Meshed
from linkerd2_py.charts.pod.proxy import proxy
from linkerd2_py.charts.pod.resources import resources
from linkerd2_py.charts.pod.volumes import volumes
from linkerd2_py.charts.replace import Known, replaced

CONTROLLER_IMAGE: Final = text(
    Ref("controllerImage"),
    ":",
    Default(Ref("controllerImageVersion"), Ref("linkerdVersion")),
)
PROXY_VERSION: Final = Default(Ref("proxy.image.version"), Ref("linkerdVersion"))
_STRATEGY: Final[Tree] = When(Ref("deploymentStrategy"), Ref("deploymentStrategy"))
_REPLICAS: Final = Ref("controllerReplicas")
UNSAID: Final[Known] = {
    **dict.fromkeys(
        (
            *("proxy.isGateway", "proxy.isIngress", "proxy.experimentalEnv", "proxy.saMountPath"),
            *("proxy.runtime.workers.maximum", "proxyInit.saMountPath", "proxy.podInboundPorts"),
        )
    ),
    **{
        f"proxy.{side}.server.http2.{name}": None
        for side in ("inbound", "outbound")
        for name in (
            *("adaptiveFlowControl", "initialConnectionWindowSize", "initialStreamWindowSize"),
            *("maxConcurrentStreams", "maxFrameSize", "maxHeaderListSize"),
            *("maxPendingAcceptResetStreams", "maxSendBufSize"),
        )
    },
}
"""What the injector alone says of a pod, and nobody of one of these."""
_TOKEN_DIR: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105  # a path
_TOKEN: Final = "kube-api-access"  # noqa: S105  # the name of a volume


@dataclass(frozen=True)
class OtherProgram:
    """Of a process from somebody else's image."""

    image: Operand
    pull_policy: Operand
    live: str
    ready: str
    uid: int
    mounts: Sequence[Tree] = ()
    """Those that are not whole volumes to be read."""


@dataclass(frozen=True)
class Container:
    """A process of the control plane."""

    name: str
    arguments: Sequence[Tree]
    ports: Mapping[str, int]
    """By name; what is not reached from outside of the pod has none."""
    admin: int
    probes: str
    """Where the values say how patient probes are."""
    resources: str
    mounts: Mapping[str, str] = field(default_factory=dict)
    """Volumes, by where they are."""
    asks_api_server: Operand = True
    """Whether it gets a token for that."""
    other: OtherProgram | None = None
    """Where the program is none of ours."""


@dataclass(frozen=True)
class Component:
    """A Deployment."""

    name: str
    containers: Sequence[Container]
    meshed: Meshed
    volumes: Sequence[Tree] = ()
    annotations: Mapping[str, Tree] = field(default_factory=dict)
    pod_annotations: str | None = None
    """Where the values have more."""
    account: str = ""
    replicas: Operand = _REPLICAS
    known: Known = field(default_factory=dict)
    """Values that are not the user's to choose for these pods."""
    group: int | None = None
    """Which group its volumes belong to."""
    strategy: Tree = _STRATEGY

    @property
    def workload(self) -> str:
        """What the Deployment is called."""
        return f"linkerd-{self.name}"


def deployment(component: Component) -> dict[str, Tree]:
    """With a pod for each replica."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            **metadata(component.workload, component.name),
            "labels": labels(
                component.name,
                {
                    "app.kubernetes.io/name": component.name,
                    "app.kubernetes.io/part-of": "Linkerd",
                    "app.kubernetes.io/version": Ref("linkerdVersion"),
                },
            ),
        },
        "spec": {
            "replicas": component.replicas,
            "revisionHistoryLimit": Ref("revisionHistoryLimit"),
            "selector": {"matchLabels": {**own_labels(component.name), **_proxy_label(component)}},
            "strategy": component.strategy,
            "template": {"metadata": _pod_metadata(component), "spec": _pod(component)},
        },
    }


def disruption_budget(component: Component) -> When:
    """How many of a component's pods may be away on purpose."""
    return When(
        Ref("enablePodDisruptionBudget"),
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata(component.workload, component.name),
            "spec": {
                "maxUnavailable": Ref("controller.podDisruptionBudget.maxUnavailable"),
                "selector": {"matchLabels": own_labels(component.name)},
            },
        },
    )


def _proxy_label(component: Component) -> dict[str, Tree]:
    return {"linkerd.io/proxy-deployment": component.workload}


def _pod_metadata(component: Component) -> Tree:
    more = [Ref(component.pod_annotations)] if component.pod_annotations else []
    return {
        "annotations": extended(
            {
                "linkerd.io/created-by": CREATED_BY,
                "linkerd.io/proxy-version": PROXY_VERSION,
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
                # Pods that trust other anchors are other pods.
                "linkerd.io/trust-root-sha256": When(
                    Ref("identityTrustAnchorsPEM"),
                    Applied(Function.SHA256, Ref("identityTrustAnchorsPEM")),
                ),
                "config.linkerd.io/default-inbound-policy": "all-unauthenticated",
                **component.annotations,
            },
            Ref("podAnnotations"),
            *more,
        ),
        "labels": extended(
            {
                **own_labels(component.name),
                "linkerd.io/workload-ns": NAMESPACE,
                **_proxy_label(component),
            },
            Ref("podLabels"),
        ),
    }


def _pod(component: Component) -> Tree:
    return {
        "runtimeClassName": _if_said("runtimeClassName"),
        "priorityClassName": _if_said("priorityClassName"),
        "nodeSelector": _if_said("nodeSelector"),
        "tolerations": _if_said("tolerations"),
        "affinity": _affinity(component),
        "serviceAccountName": component.account or component.workload,
        # Only the containers that ask the API server have a token for it.
        "automountServiceAccountToken": False,
        "securityContext": {
            "seccompProfile": SECCOMP,
            **({} if component.group is None else {"fsGroup": component.group}),
        },
        **_meshed(component),
        "volumes": [*component.volumes, _token(), *volumes()],
    }


def _meshed(component: Component) -> dict[str, Tree]:
    """The containers, and the proxy before or beside them."""
    known: Known = {**UNSAID, **component.known}
    made = Shared(f"linkerd2-py.{component.name}.proxy", proxy(component.meshed))
    native = Ref("proxy.nativeSidecar")
    tree: Tree = {
        "initContainers": [
            When(
                Ref("cniEnabled"),
                validator(component.meshed),
                otherwise=init(component.meshed),
            ),
            When(native, made),
        ],
        "containers": [
            *(_container(one) for one in component.containers),
            When(Not(native), made),
        ],
    }
    replaced_tree = replaced(tree, known)
    assert isinstance(replaced_tree, dict)  # noqa: S101
    return replaced_tree


def _if_said(path: str) -> When:
    return When(Ref(path), Ref(path))


def _affinity(component: Component) -> When:
    apart, nodes = Ref("enablePodAntiAffinity"), Ref("nodeAffinity")
    same: Tree = {"matchLabels": own_labels(component.name)}
    zone: Tree = {"labelSelector": same, "topologyKey": "topology.kubernetes.io/zone"}
    host: Tree = {"labelSelector": same, "topologyKey": "kubernetes.io/hostname"}
    return When(
        some(apart, nodes),
        {
            "nodeAffinity": When(nodes, nodes),
            "podAntiAffinity": When(
                apart,
                {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 100, "podAffinityTerm": zone}
                    ],
                    "requiredDuringSchedulingIgnoredDuringExecution": [host],
                },
            ),
        },
    )


def _container(made: Container) -> Tree:
    mounts: list[Tree] = [
        {"name": name, "mountPath": path, "readOnly": True} for path, name in made.mounts.items()
    ]
    gid, other = Ref("controllerGID"), made.other
    live = other.live if other else "/live"
    return {
        "name": made.name,
        "image": other.image if other else CONTROLLER_IMAGE,
        "imagePullPolicy": other.pull_policy if other else Ref("imagePullPolicy"),
        "args": _arguments(made),
        "ports": [{"name": name, "containerPort": port} for name, port in made.ports.items()],
        # A process may take its time to start, on a busy node; after that it answers.
        "startupProbe": {
            **_probe(live, made, "liveness"),
            "periodSeconds": 1,
            "failureThreshold": 120,
        },
        "livenessProbe": _probe(live, made, "liveness"),
        # Looked at often, so that a new pod serves as soon as it can.
        "readinessProbe": {
            **_probe(other.ready if other else "/ready", made, "readiness"),
            "periodSeconds": 2,
            "failureThreshold": 30,
        },
        "resources": resources(made.resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": other.uid if other else Ref("controllerUID"),
            "runAsGroup": other.uid if other else When(AtLeast(gid, 0), gid),
            "seccompProfile": SECCOMP,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *mounts,
            *(other.mounts if other else ()),
            *_token_mounts(made.asks_api_server),
        ],
    }


def _token_mounts(asks: Operand) -> list[Tree]:
    mount: Tree = {"name": _TOKEN, "mountPath": _TOKEN_DIR, "readOnly": True}
    if isinstance(asks, bool):
        return [mount] if asks else []
    return [When(asks, mount)]


def _arguments(made: Container) -> list[Tree]:
    if made.other:
        return [*made.arguments]
    return [
        *("controller", *made.arguments),
        text("--log-level=", Ref("controllerLogLevel")),
        text("--log-format=", Ref("controllerLogFormat")),
    ]


def _probe(path: str, made: Container, kind: str) -> dict[str, Tree]:
    return {
        "httpGet": {"path": path, "port": made.admin},
        "timeoutSeconds": Ref(f"{made.probes}.{kind}Probe.timeoutSeconds"),
    }


def _token() -> Tree:
    """What Kubernetes would put into all containers of a pod."""
    return {
        "name": _TOKEN,
        "projected": {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {
                    "configMap": {
                        "name": "kube-root-ca.crt",
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }
                },
                {
                    "downwardAPI": {
                        "items": [
                            {"fieldRef": {"fieldPath": "metadata.namespace"}, "path": "namespace"}
                        ]
                    }
                },
            ],
        },
    }
