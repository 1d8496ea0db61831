"""What discovery says of one endpoint."""

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import LOOPBACK, NO_TLS, EndpointSpec
from linkerd2_py._ext.tls.identity import ServerIdentity

HERE = Address("127.0.0.1", 80)
PEER = "web.ns.serviceaccount.identity.linkerd.cluster.local"


def test_without_a_peer_the_labels_say_that_discovery_named_none() -> None:
    assert EndpointSpec(HERE).tls == NO_TLS


def test_with_a_peer_they_name_it() -> None:
    spec = EndpointSpec(HERE, peer=ServerIdentity(PEER))
    assert spec.tls == (("tls", "true"), ("server_id", PEER))


def test_a_reason_that_was_given_stays() -> None:
    assert EndpointSpec(HERE, tls=LOOPBACK).tls == LOOPBACK


def test_who_proves_to_be_somebody_has_one_address() -> None:
    with pytest.raises(ValueError, match="one address"):
        EndpointSpec(HERE, peer=ServerIdentity(PEER), other=Address("127.0.0.2", 80))
