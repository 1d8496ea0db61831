"""What Linkerd calls the annotations, labels, containers and volumes of meshed pods."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "linkerd.io"
CONFIG: Final = "config.linkerd.io/"
ALPHA: Final = "config.alpha.linkerd.io/"
BETA: Final = "config.beta.linkerd.io/"

INJECT: Final = f"{PREFIX}/inject"
ENABLED: Final = "enabled"
DISABLED: Final = "disabled"
INGRESS: Final = "ingress"

CREATED_BY: Final = f"{PREFIX}/created-by"
PROXY_VERSION: Final = f"{PREFIX}/proxy-version"
TRUST_ROOT_SHA: Final = f"{PREFIX}/trust-root-sha256"

CONTROL_PLANE_NS: Final = f"{PREFIX}/control-plane-ns"
CONTROL_PLANE_COMPONENT: Final = f"{PREFIX}/control-plane-component"
WORKLOAD_NS: Final = f"{PREFIX}/workload-ns"
PROXY_OF: Final = f"{PREFIX}/proxy-"
"""Followed by the kind of the workload."""
OWNING_KINDS: Final = frozenset(
    (
        *("deployment", "replicationcontroller", "replicaset", "job"),
        *("daemonset", "statefulset", "cronjob"),
    )
)
"""Those that a label of their pods is for."""

OPAQUE_PORTS: Final = f"{CONFIG}opaque-ports"
ADDITIONAL_ENV: Final = f"{CONFIG}proxy-additional-env"
DEBUG_SIDECAR: Final = f"{CONFIG}enable-debug-sidecar"
CLOSE_WAIT: Final = f"{CONFIG}close-wait-timeout"

RESOURCE: Final = "resource.opentelemetry.io/"
"""Followed by an attribute that spans of the pod's proxy have."""
SERVICE_LABELS: Final = ("app.kubernetes.io/instance", "app.kubernetes.io/name")
"""What such a pod's service is called; what stands first wins."""
SERVICE_NAME: Final = "service.name"

PROXY_CONTAINER: Final = "linkerd-proxy"
INIT_CONTAINER: Final = "linkerd-init"
VALIDATOR_CONTAINER: Final = "linkerd-network-validator"
DEBUG_CONTAINER: Final = "linkerd-debug"
VOLUMES: Final = frozenset(
    (
        "linkerd-identity-end-entity",
        "linkerd-identity-token",
        "linkerd-podinfo",
        "linkerd-proxy-init-xtables-lock",
    )
)

SERVICE_ACCOUNT_MOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
