"""The objects of a control plane that is installed, as an installation leaves them and a cluster runs them:
what `check` looks at. No program is behind any of them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import yaml

from linkerd2_py import __version__
from tests.support.certificates import Signer, dns_names
from tests.support.cluster.kubectl import Kubectl

COMPONENTS: Final = ("destination", "identity", "proxy-injector")
NODE: Final = "checked-node"
VALUES: Final[dict[str, Any]] = {
    "linkerdVersion": __version__,
    "clusterNetworks": "0.0.0.0/0,::/0",
    "identity": {"issuer": {"scheme": "linkerd.io/tls"}},
}
_WEBHOOKS: Final = ("proxy-injector", "policy-validator", "sp-validator")
_DAY_S: Final = 86_400.0
Object = dict[str, Any]


class Installation:
    """One of them, in a namespace of a cluster."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self.namespace = namespace
        self._held: tuple[list[Object], list[Object]] | None = None
        self.anchor = signer("anchor")
        self.hooks = signer("hooks")

    def apply(self) -> None:
        """All of it, well."""
        with self._at_once():
            self._apply_all()

    def _apply_all(self) -> None:
        self._put(*self._roles(), *self._accounts(), *self._deployments())
        self.configure()
        self.trust(self.anchor)
        self.issue(signer("issuer", by=self.anchor))
        for name in ("proxy-injector", "policy-validator"):
            self.register(name)
        self.register("sp-validator", by="policy-validator")
        self.node()
        for component in COMPONENTS:
            self.pod(component)

    def configure(self, **values: Any) -> None:
        """What it was installed with."""
        text = yaml.safe_dump({**VALUES, **values})
        self._apply("ConfigMap", "linkerd-config", data={"values": text})

    def trust(self, anchor: Signer) -> None:
        """Whom its proxies trust."""
        data = {"ca-bundle.crt": anchor.pem.decode()}
        self._apply("ConfigMap", "linkerd-identity-trust-roots", data=data)

    def issue(self, issuer: Signer, **replaced: str) -> None:
        """Who signs for them."""
        data = {"crt.pem": encoded(issuer.pem), "key.pem": encoded(issuer.key_pem), **replaced}
        self._apply("Secret", "linkerd-identity-issuer", data=data)

    def register(
        self, name: str, *, lifetime_s: float = 365 * _DAY_S, host: str = "", by: str = ""
    ) -> None:
        """A webhook with its certificate; that of another, whose service answers, where `by` names one."""
        service = f"linkerd-{by or name}"
        names = [dns_names(host or f"{service}.{self.namespace}.svc")]
        leaf = signer("leaf", by=self.hooks, lifetime_s=lifetime_s, extensions=names)
        data = {"tls.crt": encoded(leaf.pem), "tls.key": encoded(leaf.key_pem)}
        self._apply("Secret", f"{service}-k8s-tls", data=data)
        kind = "MutatingWebhookConfiguration"
        if name != "proxy-injector":
            kind = "ValidatingWebhookConfiguration"
        reference = {"name": service, "namespace": self.namespace}
        webhook = {
            "name": f"{service}.linkerd.io",
            "clientConfig": {"caBundle": encoded(self.hooks.pem), "service": reference},
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            # It is asked about nothing.
            "rules": [],
        }
        self._put(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": kind,
                "metadata": {"name": f"linkerd-{name}-webhook-config"},
                "webhooks": [webhook],
            }
        )

    def node(self, **info: str) -> None:
        """The only one."""
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        self._put(node)
        if info:
            said = {**dict.fromkeys(_NODE_INFO, ""), **info}
            self._put_status({**node, "status": {"nodeInfo": said}})

    def pod(
        self,
        component: str,
        *,
        namespace: str = "",
        ready: bool = True,
        image: str = f"proxy:{__version__}",
        anchors: str = "",
        metadata: Object | None = None,
        ip: str = "192.0.2.7",
    ) -> None:
        """A meshed one that runs, of a component of the control plane or, elsewhere, of nobody."""
        is_own = not namespace
        labels = {"linkerd.io/control-plane-ns": self.namespace}
        if is_own:
            labels["linkerd.io/control-plane-component"] = component
        name = f"linkerd-{component}-7d4-x" if is_own else component
        more = metadata or {}
        about = {
            **more,
            "name": name,
            "namespace": namespace or self.namespace,
            "labels": labels | more.get("labels", {}),
        }
        env = [{"name": "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", "value": anchors}] * bool(anchors)
        spec = {
            "nodeName": NODE,
            "containers": [
                {"name": "app", "image": "none", "ports": [{"name": "db", "containerPort": 3306}]},
                {"name": "linkerd-proxy", "image": image, "env": env},
            ],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about}
        self._put({**pod, "spec": spec})
        running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        container = {"image": "none", "imageID": "", "restartCount": 0, "state": running}
        status = {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "containerStatuses": [
                {**container, "name": "app", "ready": True},
                {**container, "name": "linkerd-proxy", "ready": ready},
            ],
        }
        self._put_status({**pod, "status": status})

    def remove(self, kind: str, name: str) -> None:
        """One object of it."""
        force = ("--grace-period=0", "--force") if kind == "pod" else ()
        self._kubectl("delete", kind, name, f"--namespace={self.namespace}", *force)

    def remove_all(self, *namespaces: str) -> None:
        """What it leaves in no namespace, its own, and others."""
        for name in ("identity", "proxy-injector"):
            role = f"linkerd-{self.namespace}-{name}"
            self._kubectl("delete", "clusterrole,clusterrolebinding", role, "--ignore-not-found")
        hooks = "mutatingwebhookconfiguration,validatingwebhookconfiguration"
        names = [f"linkerd-{name}-webhook-config" for name in _WEBHOOKS]
        self._kubectl("delete", hooks, *names, "--ignore-not-found")
        self._kubectl("delete", "node", NODE, "--ignore-not-found")
        self._kubectl("delete", "namespace", self.namespace, *namespaces, "--wait=false")

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """kubectl is started twice for all that is put in the block."""
        objects, statuses = self._held = [], []
        yield
        self._held = None
        self._kubectl.apply(*objects)
        self._kubectl.apply_status(*statuses)

    def _put(self, *objects: Object) -> None:
        if self._held:
            self._held[0].extend(objects)
        else:
            self._kubectl.apply(*objects)

    def _put_status(self, *objects: Object) -> None:
        if self._held:
            self._held[1].extend(objects)
        else:
            self._kubectl.apply_status(*objects)

    def _roles(self) -> list[Object]:
        names = [f"linkerd-{self.namespace}-{one}" for one in ("identity", "proxy-injector")]
        rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
        return [
            one
            for name in names
            for one in (
                {**rbac, "kind": "ClusterRole", "metadata": {"name": name}, "rules": []},
                {
                    **rbac,
                    "kind": "ClusterRoleBinding",
                    "metadata": {"name": name},
                    "roleRef": {
                        "apiGroup": "rbac.authorization.k8s.io",
                        "kind": "ClusterRole",
                        "name": name,
                    },
                },
            )
        ]

    def _accounts(self) -> list[Object]:
        return [
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": self._about(f"linkerd-{one}"),
            }
            for one in COMPONENTS
        ]

    def _deployments(self) -> list[Object]:
        """They make no pods: the test does."""
        return [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {
                    **self._about(f"linkerd-{one}"),
                    "labels": {"linkerd.io/control-plane-component": one},
                },
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": {"nobody": one}},
                    "template": {
                        "metadata": {"labels": {"nobody": one}},
                        "spec": {"containers": [{"name": "none", "image": "none"}]},
                    },
                },
            }
            for one in COMPONENTS
        ]

    def _about(self, name: str) -> Object:
        return {"name": name, "namespace": self.namespace}

    def _apply(self, kind: str, name: str, **fields: Any) -> None:
        about = {"apiVersion": "v1", "kind": kind, "metadata": self._about(name)}
        self._put({**about, **fields})


_NODE_INFO: Final = (
    *("architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion"),
    *("kubeletVersion", "machineID", "operatingSystem", "osImage", "systemUUID"),
)


def signer(name: str, **said: Any) -> Signer:
    """One that is valid today."""
    words = {"starts": datetime.now(UTC).timestamp() - 60, "lifetime_s": 365 * _DAY_S, **said}
    return Signer(name, **words)


def encoded(found: bytes) -> str:
    """As secrets have it."""
    return base64.b64encode(found).decode()
