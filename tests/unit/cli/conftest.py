"""Of all tests here: some of them speak gRPC."""

from tests.support.grpc_poller import grpc_poller

__all__ = ["grpc_poller"]
