"""Of all tests here: they speak gRPC."""

from tests.support.grpc_poller import grpc_poller

__all__ = ["grpc_poller"]
