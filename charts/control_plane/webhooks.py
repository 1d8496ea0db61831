"""What API servers ask of the control plane, and the certificates with which they are answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from linkerd2_py.charts.control_plane.named import metadata
from linkerd2_py.charts.nodes import (
    NAMESPACE,
    Applied,
    Expression,
    Function,
    Let,
    Not,
    Operand,
    Ref,
    Refusal,
    Tree,
    WebhookCertificate,
    When,
    every,
    some,
    text,
)

_GROUP: Final = "admissionregistration.k8s.io/v1"
RENEW_AFTER: Final = "linkerd2-py/renew-after"


def certificate(
    at: str, *, service: str, secret: str, component: str, only: Operand = True
) -> tuple[Refusal | Let | When, ...]:
    """The Secret of whoever API servers ask, whose values stand `at` a path, where it is wanted at all; from
    here on `$certificate` is what is in it.
    """
    made = Not(Ref(f"{at}.externalSecret"))
    return (
        *_sound(at),
        Let(
            "certificate",
            WebhookCertificate(at=at, secret=secret, host=text(service, ".", NAMESPACE, ".svc")),
        ),
        When(
            made if only is True else every(only, made),
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": metadata(
                    secret,
                    component,
                    annotations={
                        RENEW_AFTER: When(
                            Ref("renewAfter", of="certificate"), Ref("renewAfter", of="certificate")
                        )
                    },
                ),
                "type": "kubernetes.io/tls",
                "data": {"tls.crt": _base64("crt"), "tls.key": _base64("key")},
            },
        ),
    )


def injected(at: str) -> Operand:
    """Whether somebody else writes by what API servers verify."""
    return some(Ref(f"{at}.injectCaFrom"), Ref(f"{at}.injectCaFromSecret"))


def bundle() -> Expression:
    """By what they verify `$certificate`."""
    return _base64("ca")


def _base64(name: str) -> Expression:
    return Applied(Function.BASE64, Ref(name, of="certificate"))


def _sound(at: str) -> tuple[Refusal, ...]:
    external, bundle = Ref(f"{at}.externalSecret"), Ref(f"{at}.caBundle")
    by_manager, by_secret = Ref(f"{at}.injectCaFrom"), Ref(f"{at}.injectCaFromSecret")
    crt, key = Ref(f"{at}.crtPEM"), Ref(f"{at}.keyPEM")
    return (
        Refusal(
            every(by_manager, by_secret),
            f"{at}.injectCaFrom and {at}.injectCaFromSecret exclude each other",
        ),
        Refusal(
            every(bundle, some(by_manager, by_secret)),
            f"{at}.caBundle and {at}.injectCaFrom or injectCaFromSecret exclude each other",
        ),
        Refusal(
            every(external, Not(some(bundle, by_manager, by_secret))),
            f"{at}.externalSecret: say by whom it is verified, with caBundle, injectCaFrom or "
            "injectCaFromSecret",
        ),
        Refusal(
            every(Not(external), some(by_manager, by_secret)),
            f"{at}.injectCaFrom and injectCaFromSecret go with {at}.externalSecret=true",
        ),
        Refusal(
            every(Not(external), some(every(crt, Not(key)), every(key, Not(crt)))),
            f"{at}.crtPEM and {at}.keyPEM go together",
        ),
    )


def webhooks(
    kind: str, name: str, component: str, *, at: str, hooks: Sequence[Tree]
) -> dict[str, Tree]:
    """A configuration of webhooks that are verified by what the values say at a path."""
    by_manager, by_secret = Ref(f"{at}.injectCaFrom"), Ref(f"{at}.injectCaFromSecret")
    manager = "cert-manager.io/inject-ca-from"
    return {
        "apiVersion": _GROUP,
        "kind": kind,
        "metadata": metadata(
            name,
            component,
            cluster_wide=True,
            annotations={
                manager: When(by_manager, by_manager),
                f"{manager}-secret": When(by_secret, by_secret),
            },
        ),
        "webhooks": [*hooks],
    }


def webhook(
    name: str, *, at: str, service: str, rules: Sequence[Tree], **others: Tree
) -> Mapping[str, Tree]:
    """A question to a service."""
    return {
        "name": name,
        **others,
        "clientConfig": {
            "service": {"name": service, "namespace": NAMESPACE, "path": "/"},
            "caBundle": When(Not(injected(at)), bundle()),
        },
        "failurePolicy": Ref("webhookFailurePolicy"),
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "rules": [*rules],
    }


def asked(group: str, versions: Sequence[str], resources: Sequence[str], *operations: str) -> Tree:
    """About which objects, and when."""
    return {
        "operations": [*operations],
        "apiGroups": [group],
        "apiVersions": [*versions],
        "resources": [*resources],
        "scope": "Namespaced",
    }
