"""What runs before everything else: the init container that writes the rules, or, where the CNI plugin
writes them, one that tries them.
"""

from __future__ import annotations

from linkerd2_py.charts.nodes import (
    AtLeast,
    Choice,
    Default,
    Equal,
    Items,
    Operand,
    Ref,
    Tree,
    When,
    some,
    text,
)
from linkerd2_py.charts.pod.kinds import PROXY_IMAGE, PULL_POLICY, SECCOMP, Meshed, as_text
from linkerd2_py.charts.pod.proxy import account_mount, capabilities
from linkerd2_py.charts.pod.resources import resources

CNI = Ref("cniEnabled")
_NOBODY = 65534


def init(pod: Meshed) -> dict[str, Tree]:
    """Redirects what the pod sends and gets to its proxy."""
    privileged = some(Ref("proxyInit.closeWaitTimeoutSecs"), Ref("proxyInit.privileged"))
    root = Ref("proxyInit.runAsRoot")
    user, group = Ref("proxyInit.runAsUser"), Ref("proxyInit.runAsGroup")
    return {
        "name": "linkerd-init",
        "image": PROXY_IMAGE,
        "imagePullPolicy": PULL_POLICY,
        "command": ["/usr/lib/linkerd/linkerd2-proxy-init"],
        "args": _arguments(pod),
        "resources": resources(*pod.resources),
        "securityContext": {
            "allowPrivilegeEscalation": Choice(privileged, then=True, otherwise=False),
            "capabilities": capabilities(
                Ref("proxyInit.capabilities.add"),
                Ref("proxyInit.capabilities.drop"),
                *("NET_ADMIN", "NET_RAW"),
            ),
            "privileged": Choice(privileged, then=True, otherwise=False),
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": Choice(root, then=False, otherwise=True),
            "runAsUser": Choice(root, 0, Default(user, _NOBODY)),
            "runAsGroup": Choice(root, 0, Default(group, _NOBODY)),
            "seccompProfile": SECCOMP,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {
                "name": Ref("proxyInit.xtMountPath.name"),
                "mountPath": Ref("proxyInit.xtMountPath.mountPath"),
            },
            When(Ref("proxyInit.saMountPath"), account_mount("proxyInit.saMountPath")),
        ],
    }


def _arguments(pod: Meshed) -> list[Tree]:
    more = Ref("proxyInit.ignoreInboundPorts")
    gid, skipped = Ref("proxy.gid"), Ref("proxyInit.skipSubnets")
    ignored = text(
        *(Ref("proxy.ports.control"), ",", Ref("proxy.ports.admin")),
        Choice(more, text(",", more), ""),
    )
    nft = ("--firewall-bin-path", "iptables-nft", "--firewall-save-bin-path", "iptables-nft-save")
    return [
        When(Equal(Ref("proxyInit.iptablesMode"), "nft"), Items(nft)),
        When(Ref("disableIPv6"), "--ipv6=false"),
        *("--incoming-proxy-port", as_text(Ref("proxy.ports.inbound"))),
        *("--outgoing-proxy-port", as_text(Ref("proxy.ports.outbound"))),
        *("--proxy-uid", as_text(Ref("proxy.uid"))),
        When(AtLeast(gid, 0), Items(("--proxy-gid", as_text(gid)))),
        *("--inbound-ports-to-ignore", ignored),
        _flag("--outbound-ports-to-ignore", pod.ignore_outbound_ports),
        _flag("--timeout-close-wait-secs", Ref("proxyInit.closeWaitTimeoutSecs")),
        _flag("--log-format", Ref("proxyInit.logFormat")),
        _flag("--log-level", Ref("proxyInit.logLevel")),
        _flag("--subnets-to-ignore", skipped),
    ]


def _flag(name: str, value: Operand) -> Tree:
    return When(value, Items((name, as_text(value))))


def validator(pod: Meshed) -> dict[str, Tree]:
    """Ends well only where the rules bring what it sends to itself."""
    ipv4 = Ref("disableIPv6")
    given = Ref("networkValidator.securityContext")
    at = Choice(ipv4, "1.1.1.1:20001", "[fd00::1]:20001")
    on = Choice(ipv4, "0.0.0.0:4140", "[::]:4140")
    return {
        "name": "linkerd-network-validator",
        "image": PROXY_IMAGE,
        "imagePullPolicy": PULL_POLICY,
        "command": ["/usr/lib/linkerd/linkerd2-network-validator"],
        "args": [
            *("--log-format", Ref("networkValidator.logFormat")),
            *("--log-level", Ref("networkValidator.logLevel")),
            *("--connect-addr", Default(Ref("networkValidator.connectAddr"), at)),
            *("--listen-addr", Default(Ref("networkValidator.listenAddr"), on)),
            *("--timeout", Ref("networkValidator.timeout")),
        ],
        "resources": resources(*pod.resources),
        "securityContext": When(
            Ref("networkValidator.enableSecurityContext"),
            When(given, given, otherwise=_unprivileged()),
        ),
    }


def _unprivileged() -> Tree:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsGroup": _NOBODY,
        "runAsNonRoot": True,
        "runAsUser": _NOBODY,
        "seccompProfile": SECCOMP,
    }
