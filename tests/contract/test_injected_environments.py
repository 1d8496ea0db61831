"""Our proxy takes each environment that Linkerd's injector has given to a pod. They are recordings, which a
checkout alone does not have.
"""

from pathlib import Path

import pytest

from linkerd2_py.proxy.addresses import Authority
from linkerd2_py.proxy.config.load import load
from tests.support.injected import FIELDS, Injected, expanded, injected

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "contract" / "inject"
FILES = sorted(RECORDED.glob("*.yml"))
PREFIX = "LINKERD2_PROXY_"

recorded = pytest.mark.skipif(not FILES, reason="no recordings of Linkerd's injector here")


@recorded
@pytest.mark.parametrize("one", [one for file in FILES for one in injected(file)], ids=str)
def test_it_is_taken_as_it_is(one: Injected) -> None:
    found = load(one.environ)
    assert found.identity is not None
    assert found.identity.local_name.startswith("web.emojivoto.serviceaccount.identity.linkerd.")
    assert found.identity.service.address == Authority(
        "linkerd-identity-headless.linkerd.svc.cluster.local.", 8080
    )
    assert found.policy is not None
    for service in (found.identity.service, found.destination.service, found.policy.service):
        assert service is not None
        assert ".serviceaccount.identity.linkerd." in service.name
    assert found.destination.namespace == FIELDS["metadata.namespace"]
    assert FIELDS["metadata.name"] in found.destination.context_token
    assert len(found.inbound_ips) == 2
    assert found.inbound_policy.default == one.environ[PREFIX + "INBOUND_DEFAULT_POLICY"]


@recorded
@pytest.mark.parametrize("one", [one for file in FILES for one in injected(file)], ids=str)
def test_no_name_of_it_is_unknown_and_nothing_is_missed(one: Injected) -> None:
    assert load(one.environ).warnings == ()


@recorded
def test_none_is_overlooked() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert len(list(injected(file))) == text.count(f"name: {PREFIX}POLICY_SVC_ADDR"), file.name


def test_references_are_those_of_kubernetes() -> None:
    env = [
        {"name": "_ns", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "EARLY", "value": "$(LATE)"},
        {"name": "LATE", "value": "$(_ns)/$$(_ns)/$x/$(NOBODY)"},
        {"name": "NONE", "value": None},
    ]
    assert expanded(env) == {
        "_ns": "emojivoto",
        "EARLY": "$(LATE)",
        "LATE": "emojivoto/$(_ns)/$x/$(NOBODY)",
        "NONE": "",
    }
