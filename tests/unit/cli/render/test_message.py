"""Messages as Go's JSON has them."""

from __future__ import annotations

import json

from linkerd2_py.cli.render.message import as_document
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import net_pb2 as net


def test_a_choice_is_a_field_with_the_name_of_what_was_chosen() -> None:
    found = inbound.Server(
        protocol=inbound.ProxyProtocol(opaque=inbound.ProxyProtocol.Opaque()),
        labels={"b": "2", "a": "1"},
    )
    assert json.dumps(as_document(found)) == (
        '{"protocol": {"Kind": {"Opaque": {}}}, "labels": {"a": "1", "b": "2"}}'
    )
    assert as_document(net.IPAddress(ipv4=0)) == {"Ip": {"Ipv4": 0}}


def test_a_choice_that_was_not_made_is_null_and_what_is_empty_is_left_out() -> None:
    assert as_document(net.IPAddress()) == {"Ip": None}
    assert as_document(destination.DestinationProfile()) == {}


def test_fractions_have_the_digits_that_were_written() -> None:
    profile = destination.DestinationProfile()
    profile.retry_budget.retry_ratio = 0.2
    profile.retry_budget.min_retries_per_second = 10
    assert as_document(profile) == {
        "retry_budget": {"retry_ratio": 0.2, "min_retries_per_second": 10}
    }
    profile.retry_budget.retry_ratio = 1.0
    assert repr(as_document(profile)["retry_budget"]["retry_ratio"]) == "1"


def test_numbers_of_names_bytes_and_what_is_optional() -> None:
    profile = destination.DestinationProfile()
    profile.endpoint.protocol_hint.opaque_transport.inbound_port = 4143
    profile.endpoint.tls_identity.dns_like_identity.name = "web"
    assert as_document(profile.endpoint) == {
        "tls_identity": {"Strategy": {"DnsLikeIdentity": {"name": "web"}}},
        "protocol_hint": {"Protocol": None, "opaque_transport": {"inbound_port": 4143}},
    }
