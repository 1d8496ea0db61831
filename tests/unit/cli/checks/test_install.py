"""What is asked before an installation is what an installation makes."""

from __future__ import annotations

import yaml

from linkerd2_py.charts.render import render
from linkerd2_py.charts.values import Layers, values_of
from linkerd2_py.cli.checks.cluster.install import CLUSTER_WIDE, OF_NAMESPACE
from tests.support.cluster.installed import signer

# Kinds of objects that describe a mesh are made before it.
CRDS = ("customresourcedefinitions", "apiextensions.k8s.io")


def test_each_kind_of_the_chart_is_asked_about_and_no_other() -> None:
    pem = signer("any").pem.decode()
    key = signer("any").key_pem.decode()
    hook = {"crtPEM": pem, "keyPEM": key, "caBundle": pem}
    given = {
        "identityTrustAnchorsPEM": pem,
        "identity": {"issuer": {"tls": {"crtPEM": pem, "keyPEM": key}}},
        "proxyInjector": hook,
        "policyValidator": hook,
        "tap": hook,
    }
    objects = render(values_of(Layers(files=[yaml.safe_dump(given)])))
    made = {(f"{one['kind'].lower()}s", group_of(one["apiVersion"])) for one in objects}
    asked = {(kind.lower(), group) for kind, group in (*CLUSTER_WIDE, *OF_NAMESPACE)}
    assert made | {CRDS} == asked


def group_of(version: str) -> str:
    return version.rpartition("/")[0]
