"""What targets stand for, as metrics name it."""

import pytest

from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proxy.discovery.object_ref import FALLBACK, ObjectRef, object_ref, service_named


def test_an_object_has_linkerds_six_labels() -> None:
    resource = meta.Resource(
        group="core", kind="Service", namespace="shop", name="web", port=80, section="http"
    )
    assert object_ref(meta.Metadata(resource=resource)).labels("parent") == (
        ("parent_group", "core"),
        ("parent_kind", "Service"),
        ("parent_namespace", "shop"),
        ("parent_name", "web"),
        ("parent_port", "80"),
        ("parent_section_name", "http"),
    )


def test_a_default_has_a_name_only_and_a_port_may_be_missing() -> None:
    assert object_ref(meta.Metadata(default="http")) == ObjectRef("", "default", "", "http")
    assert object_ref(meta.Metadata(resource=meta.Resource(name="web"))).port == ""


def test_metadata_that_say_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="say nothing"):
        object_ref(meta.Metadata())


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("web.shop.svc.cluster.local:80", ObjectRef("core", "Service", "shop", "web", "80")),
        ("web.shop.svc.own.domain:8080", ObjectRef("core", "Service", "shop", "web", "8080")),
        ("web-0.web.shop.svc.cluster.local:80", FALLBACK),
        ("example.com:443", FALLBACK),
        ("10.0.0.1:80", FALLBACK),
        ("", FALLBACK),
    ],
)
def test_a_name_of_a_service_is_its_service(authority: str, expected: ObjectRef) -> None:
    assert service_named(authority) == expected
